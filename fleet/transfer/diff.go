package transfer

import (
	"context"
	"io/fs"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// State is how what is here relates to what is on the VM.
type State string

// The states of what is not the same.
const (
	Changed State = "changed" // on the VM and here, and not the same
	Missing State = "missing" // on the VM, not here
	Extra   State = "extra"   // here, not on the VM
)

// Difference is an item that is not here as it is on the VM.
type Difference struct {
	Path  string // below Dest, with slashes; not cleaned for terminals
	State State
	Type  Type   // on the VM, or of what is extra here
	Why   string // of what is changed: type, size, time, content or target
	VM    Side   // zero if it is extra
	Here  Side   // zero if it is missing
}

// Side is a file at one end. Of what is no file Size is 0.
type Side struct {
	Size    int64
	ModTime time.Time
}

// Diff tells what a pull with Delete would change, and changes nothing: each
// difference goes to found as it is met, from one goroutine at a time. What is the
// same is counted in Summary.Unchanged, folders not. A file that has further names
// is compared under each of them. Extra is told only when the listing was whole.
// Errors are those of Pull.
func Diff(ctx context.Context, r Remote, o PullOptions, found func(Difference)) (Summary, error) {
	o.DryRun, o.Delete, o.found = true, true, found
	return Pull(ctx, r, o)
}

// differ tells of an item of the VM's that is not the same here.
func (p *pull) differ(it *listing.Item, t Type, here fs.FileInfo, why string) {
	if p.o.found == nil {
		return
	}
	d := Difference{Path: it.Rel(), State: Missing, Type: t, VM: Side{ModTime: it.ModTime()}}
	if t == TypeFile {
		d.VM.Size = it.Size
	}
	if here != nil {
		d.State, d.Why, d.Here = Changed, why, sideOf(here)
	}
	p.o.found(d)
}

// extra tells of what is here and not on the VM.
func (p *pull) extra(name string, e fs.DirEntry) {
	if p.o.found == nil {
		return
	}
	d := Difference{Path: name, State: Extra, Type: TypeFile}
	switch {
	case e.IsDir():
		d.Type = TypeDir
	case e.Type()&fs.ModeSymlink != 0:
		d.Type = TypeSymlink
	}
	if fi, err := e.Info(); err == nil {
		d.Here = sideOf(fi)
	}
	p.o.found(d)
}

func sideOf(fi fs.FileInfo) Side {
	s := Side{ModTime: fi.ModTime()}
	if fi.Mode().IsRegular() {
		s.Size = fi.Size()
	}
	return s
}

// whyChanged is what tells a file here from the VM's.
func whyChanged(it *listing.Item, here fs.FileInfo, checksum bool) string {
	switch {
	case here == nil:
		return ""
	case !here.Mode().IsRegular():
		return "type"
	case here.Size() != it.Size:
		return "size"
	case checksum:
		return "content"
	}
	return "time"
}

// candidate is a file whose size is that of the one here: its content decides.
type candidate struct {
	it   listing.Item
	here fs.FileInfo
}

// compareLater leaves a file to compareContents.
func (p *pull) compareLater(it *listing.Item, here fs.FileInfo) error {
	p.candidates = append(p.candidates, candidate{*it, here})
	return p.remember(len(it.Rel()) + 400)
}

const (
	compareMost  = 256     // files compared at once
	compareBytes = 1 << 30 // and their sizes, unless it is one
)

// compareContents compares files by their hashes here and on the VM, and leaves
// those that differ to what a pull would do.
func (p *pull) compareContents() error {
	for rest := p.candidates; len(rest) > 0; {
		n, bytes := 0, int64(0)
		for n < len(rest) && n < compareMost && (n == 0 || bytes+rest[n].it.Size <= compareBytes) {
			bytes += rest[n].it.Size
			n++
		}
		if err := p.compareBatch(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// hashes are those of a batch, or why there are none.
type hashes struct {
	sums [][32]byte
	ok   []bool
	err  error
}

// farHashes are what the VM says of a batch.
func (p *pull) farHashes(batch []candidate) hashes {
	ask := make([]prefixRequest, len(batch))
	for i, c := range batch {
		ask[i] = prefixRequest{c.it.Remote(), c.it.Size}
	}
	h, err := withConn(p.ctx, p, func(c *session.Conn) (hashes, error) {
		sums, ok, err := prefixHashes(p.ctx, c, ask)
		return hashes{sums: sums, ok: ok}, err
	})
	h.err = err
	return h
}

func (p *pull) compareBatch(batch []candidate) error {
	if !p.tools.CanHash() {
		for _, c := range batch {
			p.c.fail(c.it.Rel(), FailRemote, "the VM has no tool to hash it with", nil)
		}
		return p.ctx.Err()
	}
	far := make(chan hashes, 1)
	go func() { far <- p.farHashes(batch) }() // meanwhile the files here are read
	sums, errs := make([][32]byte, len(batch)), make([]error, len(batch))
	for i, c := range batch {
		if p.ctx.Err() == nil {
			sums[i], errs[i] = p.hashHere(c.it.Rel())
		}
	}
	answer := <-far
	if answer.err != nil {
		return answer.err
	}
	for i, c := range batch {
		rel := c.it.Rel()
		switch {
		case errs[i] != nil:
			p.c.fail(rel, FailLocal, "cannot be read here: "+session.CleanLine(errs[i].Error()), errs[i])
		case !answer.ok[i]:
			p.c.fail(rel, FailRemote, errUnreadable.Error(), errUnreadable)
		case sums[i] == answer.sums[i]:
			p.unchanged(&c.it, c.here)
		default:
			if err := p.want(&c.it, c.here); err != nil {
				return err
			}
		}
	}
	return p.ctx.Err()
}

// hashHere hashes the file in place at rel.
func (p *pull) hashHere(rel string) (sum [32]byte, err error) {
	f, err := p.d.Read(rel)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	_, sum, err = hashAll(f)
	return sum, err
}

// lookForDir tells of a folder that is not here.
func (p *pull) lookForDir(it *listing.Item) {
	fi, err := p.lookAt(it.Rel())
	switch {
	case err != nil:
		p.localFailure(it.Rel(), err)
	case fi == nil:
		p.c.update(func(s *Summary) { s.Dirs++ })
		p.differ(it, TypeDir, nil, "")
	case !fi.IsDir():
		p.differ(it, TypeDir, fi, "type")
	}
}

// linkDiffers tells of a symlink that is not here as it is on the VM.
func (p *pull) linkDiffers(it *listing.Item) {
	fi, err := p.lookAt(it.Rel())
	switch {
	case err != nil:
		p.localFailure(it.Rel(), err)
	case fi != nil && fi.Mode()&fs.ModeSymlink == 0:
		p.differ(it, TypeSymlink, fi, "type")
	default:
		p.differ(it, TypeSymlink, fi, "target")
	}
}
