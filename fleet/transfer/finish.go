package transfer

import (
	"cmp"
	"io/fs"
	"slices"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

// finish does what must wait for the files: hard links, folders' modes and
// times, deletions, the flush.
func (p *pull) finish() error {
	for _, h := range p.hard {
		p.finishLink(h)
	}
	if p.o.Delete {
		if p.complete && p.c.summary().Complete {
			p.deleteOthers()
		} else {
			p.c.logf("nothing is deleted: the listing was not complete")
		}
	}
	for _, d := range slices.Backward(p.dirs) {
		if err := p.d.SetMeta(d.rel, d.mode, listing.TimeOf(d.mtime)); err != nil {
			p.localFailure(d.rel, err)
		}
	}
	return p.flush()
}

// flush makes what arrived durable.
func (p *pull) flush() error {
	if p.o.DryRun {
		return nil
	}
	if sum := p.c.summary(); sum.Files+sum.Links+sum.Dirs+sum.Deleted == 0 {
		return nil
	}
	if err := p.d.Flush(); err != nil {
		return &LocalError{p.d.Path(), err}
	}
	return nil
}

// finishLink makes a further name of a file that has arrived.
func (p *pull) finishLink(h hardlink) {
	rel := h.it.Rel()
	first, err := p.d.Lstat(h.first)
	if err == nil && (!first.Mode().IsRegular() || !h.it.SameTime(first.ModTime())) {
		err = fs.ErrNotExist
	}
	if p.o.DryRun {
		p.c.update(func(s *Summary) { s.Links++ })
		return
	}
	if err != nil {
		p.c.fail(rel, FailRemote, "a second name of "+h.first+", which did not arrive", nil)
		return
	}
	made, err := p.d.Hardlink(p.nameOf(h.first), rel)
	if dest.NoLinks(err) {
		p.copyInstead(h)
		return
	}
	if err != nil {
		p.localFailure(rel, err)
		return
	}
	p.c.update(func(s *Summary) {
		if made {
			s.Links++
		} else {
			s.Unchanged++
		}
	})
	h.it.Target = h.first
	p.c.entry(&h.it, TypeHardlink, made)
}

// nameOf is the name here that further names of a file are linked to.
func (p *pull) nameOf(first string) string { return cmp.Or(p.copies[first], first) }

// copyInstead copies a file that has arrived, where the file system here makes no
// further name of it. Those that follow are names of the copy.
func (p *pull) copyInstead(h hardlink) {
	rel := h.it.Rel()
	if fi, err := p.d.Lstat(rel); err == nil && fi.Mode().IsRegular() && fi.Size() == h.it.Size && h.it.SameTime(fi.ModTime()) {
		p.copies[h.first] = rel
		p.unchanged(&h.it, fi) // an earlier pull copied it
		return
	}
	t := p.newTask(&h.it)
	if why := p.admit(h.it.DiskSize(), t.part.Held()); why != "" {
		p.c.fail(rel, FailLimit, why, nil)
		return
	}
	if err := p.copyHere(t, h.first); err != nil {
		p.localFailure(rel, err)
		return
	}
	p.c.want(t.n)
	p.c.have(t.n, 0)
	p.c.file(&h.it, "")
	p.c.update(func(s *Summary) { s.Copied++ })
	p.copies[h.first] = rel
}

// copyHere copies what is in place at first.
func (p *pull) copyHere(t *task, first string) error {
	from, err := p.d.Read(first)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	if err := p.storeContent(t, from, make([]byte, 256<<10)); err != nil {
		return err
	}
	if err := t.part.Commit(); err != nil {
		t.part.Remove()
		return err
	}
	return nil
}

func skipDir(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// hashInPlace hashes what is in place, for --checksum.
func (p *pull) hashInPlace(t *task) {
	f, err := p.d.Read(t.rel)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	n, sum, err := hashAll(f)
	if err == nil && n == t.it.Size {
		t.localSum, t.n, t.stored, t.inPlace = sum, n, true, true
	}
}
