package transfer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// largePush is the size from which a file is sent by itself, so that a dropped
// connection costs only the rest of it.
const largePush = 8 << 20

// statusLetters runs a script and reads want letters.
func (p *push) statusLetters(script string, want int, args ...string) (string, error) {
	return lettersFor(p.ctx, p.conn, script, want, args)
}

func lettersFor(ctx context.Context, c *session.Conn, script string, want int, args []string) (string, error) {
	s := c.Script(ctx, script, args...)
	defer s.Stop()
	s.Quiet(true)
	if err := s.Ready(); err != nil {
		return "", err
	}
	got := make([]byte, max(want, 1))
	n, err := io.ReadFull(s.Out, got)
	if n < want || n == 0 {
		return "", s.Failure(err)
	}
	return string(got[:n]), nil
}

// batches cuts groups of arguments (per at a time) into runs of a script.
func batches(args []string, per int) [][]string {
	var all [][]string
	start, size := 0, 0
	for i := 0; i < len(args); i += per {
		n := 0
		for _, a := range args[i : i+per] {
			n += len(a) + 1
		}
		if size+n > session.MaxArgs && i > start {
			all = append(all, args[start:i])
			start, size = i, 0
		}
		size += n
	}
	if start < len(args) {
		all = append(all, args[start:])
	}
	return all
}

// each runs a script over groups of arguments; fn gets a letter per group.
func (p *push) each(script string, first []string, args []string, per int, fn func(i int, letter byte)) error {
	done := 0
	for _, run := range batches(args, per) {
		letters, err := p.statusLetters(script, len(run)/per, slices.Concat(first, run)...)
		if err != nil {
			return err
		}
		for i := range letters {
			fn(done+i, letters[i])
		}
		done += len(run) / per
	}
	return nil
}

// makeDirs makes the destination, the partial folder and the folders to send.
func (p *push) makeDirs() error {
	if len(p.dirs) == 0 && len(p.want) == 0 {
		return nil
	}
	letters, err := p.statusLetters(foldersScript, 2, "-", p.dest, p.part)
	if err != nil {
		return err
	}
	if strings.Contains(letters, "F") {
		return &ToolError{What: "the VM cannot make folders in " + session.CleanLine(p.o.Dest) + " (read-only, full, or not allowed)"}
	}
	var names []string
	for _, it := range p.dirs {
		names = append(names, p.under(it.rel))
	}
	// Nobody but the owner until all is in them: folderMeta gives them their modes.
	return p.each(foldersScript, []string{"700"}, names, 1, func(i int, letter byte) {
		it := p.dirs[i]
		switch {
		case it.made || it.failed: // before a drop
		case letter == 'F':
			it.failed = true
			p.c.fail(it.rel, FailRemote, "the VM cannot make this folder", nil)
		default:
			it.made = true
			p.c.update(func(s *Summary) { s.Dirs++ })
		}
	})
}

// send brings files into the partial folder, has them hashed there, and puts
// those that are right in place; twice if need be.
func (p *push) send() error {
	for range maxTries {
		have, err := p.inPart()
		if err != nil {
			return err
		}
		if err := p.sendMissing(have); err != nil {
			return err
		}
		if err := p.checkAndPlace(); err != nil {
			return err
		}
		if err := p.placeLinks(); err != nil {
			return err
		}
		if p.unsent() == 0 {
			return nil
		}
	}
	return nil
}

func (p *push) unsent() (n int) {
	for _, it := range p.want {
		if !it.sent {
			n++
		}
	}
	return n
}

// inPart lists what an earlier run left.
func (p *push) inPart() (map[string]listing.Item, error) {
	l := p.newLister(func(it *pushItem) string { return it.id })
	_, err := listing.Run(p.ctx, p.conn, []*listing.Root{{Asked: p.part, Remote: p.part}}, l)
	return l.items, err
}

// sendMissing sends what is not in the partial folder.
func (p *push) sendMissing(have map[string]listing.Item) error {
	var small []*pushItem
	var links []string
	for _, it := range p.want {
		there := have[it.id]
		switch {
		case it.sent || it.first != nil:
		case it.Kind == 'l':
			links = append(links, it.Target, p.part+"/"+it.id)
		case there.Kind == 'f' && there.Size == it.Size && it.tries == 0:
			it.meta = false
			p.c.have(it.Size, 0)
		case it.Size >= largePush || p.tools.Tar == "none":
			off := there.Size
			if it.tries > 0 || there.Size > it.Size {
				off = 0
				if _, err := p.statusLetters(removeScript, 0, p.part+"/"+it.id); err != nil {
					return err
				}
			}
			if err := p.sendOne(it, off); err != nil {
				return err
			}
		default:
			small = append(small, it)
		}
	}
	if err := p.each(linksScript, nil, links, 2, func(int, byte) {}); err != nil {
		return err
	}
	if len(small) == 0 {
		return nil
	}
	return p.sendTar(small)
}

// sendOne adds the bytes behind off to a file in the partial folder.
func (p *push) sendOne(it *pushItem, off int64) error {
	f, err := os.Open(it.local)
	if err != nil {
		p.localGone(it, err)
		return nil
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		p.localGone(it, err)
		return nil
	}
	p.c.at(it.rel)
	p.c.have(off, 0)
	s := p.conn.Start(p.ctx, appendCmd)
	defer s.Stop()
	go func() {
		_, err := io.WriteString(s.In, shellLine(p.part+"/"+it.id))
		if err == nil {
			_, err = io.Copy(&countWriter{s, p.c}, io.LimitReader(f, it.Size-off))
		}
		_ = s.In.CloseWithError(err)
	}()
	if err := s.Ready(); err != nil {
		return err
	}
	return p.ended(s, s.Drain(1<<20))
}

// ended turns a command that failed into an error with its own words.
func (p *push) ended(s *session.Session, err error) error {
	if session.Exited(err) {
		return &ToolError{"the VM could not write: " + s.Stderr(), err}
	}
	return err
}

func (p *push) localGone(it *pushItem, err error) {
	it.sent, it.failed = true, true
	p.c.fail(it.rel, FailLocal, "cannot be read here: "+session.CleanLine(err.Error()), err)
}

// countWriter counts what is sent; sending is a sign of life too.
type countWriter struct {
	s *session.Session
	c *collector
}

func (w *countWriter) Write(b []byte) (int, error) {
	n, err := w.s.In.Write(b)
	w.c.have(int64(n), int64(n))
	w.s.Touch()
	return n, err
}

// sendTar sends small files as one stream.
func (p *push) sendTar(items []*pushItem) error {
	s := p.conn.Start(p.ctx, untarCmd)
	defer s.Stop()
	go func() { _ = s.In.CloseWithError(p.writeTar(s, items)) }()
	if err := s.Ready(); err != nil {
		return err
	}
	return p.ended(s, s.Drain(1<<20))
}

func (p *push) writeTar(s *session.Session, items []*pushItem) error {
	if _, err := io.WriteString(s.In, shellLine(p.part)); err != nil {
		return err
	}
	tw := tar.NewWriter(&countWriter{s, p.c})
	for _, it := range items {
		f, err := os.Open(it.local)
		if err != nil {
			p.localGone(it, err)
			continue
		}
		p.c.at(it.rel)
		err = tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: it.id, Size: it.Size,
			Mode: int64(it.Mode & 0o777), ModTime: it.ModTime(), Format: tar.FormatPAX})
		if err == nil {
			_, err = io.CopyN(tw, io.MultiReader(f, zeros{}), it.Size)
		}
		_ = f.Close()
		if err != nil {
			return err
		}
		it.meta = true
	}
	return tw.Close()
}

// zeros pads a file that shrank while it was read; its hash then differs.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func hashFile(name string) (sum [32]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [32]byte(h.Sum(nil)), err
}
