package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// statusLetters runs a script and reads want letters.
func (p *push) statusLetters(script string, want int, args ...string) (string, error) {
	return lettersFor(p.ctx, p.conn, script, want, args)
}

// scriptWork is how long a script may need that makes, or removes, many things and
// shows nothing meanwhile.
const scriptWork = 5 * time.Minute

func lettersFor(ctx context.Context, c *session.Conn, script string, want int, args []string) (string, error) {
	s := c.Script(ctx, script, args...)
	defer s.Stop()
	s.Due("an answer", scriptWork)
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
func batches(args []string, per int) (all [][]string) {
	bytes := func(group []string) (n int) {
		for _, arg := range group {
			n += len(arg) + 1
		}
		return n
	}
	for _, run := range session.Runs(slices.Collect(slices.Chunk(args, per)), bytes) {
		all = append(all, slices.Concat(run...))
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

// remove removes things from the partial folder.
func (p *push) remove(names []string) error {
	for _, run := range batches(names, 1) {
		if _, err := p.statusLetters(removeScript, 0, run...); err != nil {
			return err
		}
	}
	return nil
}

// makePart makes the destination and the partial folder.
func (p *push) makePart() error {
	letters, err := p.statusLetters(foldersScript, 2, "-", p.dest, p.part)
	if err != nil {
		return err
	}
	for i := range letters {
		if letter := letters[i]; letter != 'K' && letter != 'M' {
			return p.noFolders(whyOf(letter), "")
		}
	}
	p.left = true
	return nil
}

// noFolders says that nothing can be made in the destination; said is what the VM
// said about it.
func (p *push) noFolders(why error, said string) error {
	if why == nil && said != "" {
		why = errors.New(said)
	}
	return &ToolError{"the VM cannot make folders in " + session.CleanLine(p.o.Dest), why}
}

// sendBare sends to a VM without tar: each file by itself, which costs the VM
// several processes and this end several round trips a file.
func (p *push) sendBare(b bundle) error {
	if err := p.makePart(); err != nil {
		return err
	}
	var dirs, links, meta []string
	var linked []*pushItem
	seen := map[string]bool{}
	dir := func(rel string) {
		if name := p.temp(rel); !seen[name] {
			seen[name] = true
			dirs = append(dirs, name)
		}
	}
	for _, it := range p.dirs {
		dir(it.rel)
	}
	for _, it := range p.want {
		dir(path.Dir(it.rel))
	}
	if err := p.each(foldersScript, []string{"700"}, dirs, 1, func(int, byte) {}); err != nil {
		return err
	}
	for _, it := range append(b.small, b.large...) {
		if it.Kind == 'l' {
			links, linked = append(links, it.Target, p.temp(it.rel)), append(linked, it)
			continue
		}
		if err := p.sendOne(it); err != nil {
			return err
		}
		meta = append(meta, it.perms(), it.stamp(), p.temp(it.rel))
	}
	if err := p.each(linksScript, nil, links, 2, func(i int, letter byte) { linked[i].ready = letter == 'K' }); err != nil {
		return err
	}
	return p.each(metaScript, nil, meta, 3, func(int, byte) {})
}

// bareFolders gives the folders in the partial folder their mode and time, where
// there is no tar to do it, when everything is in them.
func (p *push) bareFolders() error {
	if p.tools.Tar != "none" {
		return nil
	}
	var meta []string
	for _, it := range slices.Backward(p.dirs) { // those in others first
		if !it.made {
			meta = append(meta, fmt.Sprintf("%o", it.Mode&0o777|0o700), it.stamp(), p.temp(it.rel))
		}
	}
	return p.each(metaScript, nil, meta, 3, func(int, byte) {})
}

// sendWhole sends large files in one piece each, to a VM whose dd cannot write
// ranges.
func (p *push) sendWhole(items []*pushItem) error {
	if len(items) == 0 {
		return nil
	}
	if err := p.makePart(); err != nil {
		return err
	}
	var dirs, meta []string
	for _, it := range items {
		dirs = append(dirs, p.temp(path.Dir(it.rel)))
	}
	if err := p.each(foldersScript, []string{"700"}, dirs, 1, func(int, byte) {}); err != nil {
		return err
	}
	for _, it := range items {
		if err := p.sendOne(it); err != nil {
			return err
		}
		meta = append(meta, it.perms(), it.stamp(), p.temp(it.rel))
	}
	return p.each(metaScript, nil, meta, 3, func(int, byte) {})
}

// sendOne sends a file into the partial folder.
func (p *push) sendOne(it *pushItem) error {
	f := p.openHere(it)
	if f == nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	p.c.at(it.rel)
	s := p.conn.Start(p.ctx, pushFileCmd)
	defer s.Stop()
	go func() {
		_, err := io.WriteString(s.In, shellLine(p.temp(it.rel)))
		if err == nil {
			_, _, err = p.copyOut(s.In, f, it.Size, make([]byte, 128<<10))
		}
		_ = s.In.CloseWithError(err)
	}()
	if err := s.Ready(); err != nil {
		return err
	}
	if err := s.Drain(1 << 20); err != nil {
		return toolError(s, err)
	}
	it.complete, it.hashed = true, false
	return nil
}
