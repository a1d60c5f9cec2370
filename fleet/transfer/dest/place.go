package dest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrInTheWay refuses to replace a folder by a file, or to go through a
// symlink or file as if it were a folder.
var ErrInTheWay = errors.New("something of another type is in the way here")

// Mkdir makes the folder rel and those above it, and reports whether it is new.
func (d *Dest) Mkdir(rel string) (made bool, err error) {
	h, base, err := d.parent(rel, true)
	if err != nil {
		return false, err
	}
	defer h.release()
	return h.mkdir(base)
}

// Symlink puts a link at rel in one step, replacing a file or link.
func (d *Dest) Symlink(rel, target string) error {
	why := BadTarget(target)
	if why == "" && !d.o.AllLinks {
		why = LeadsOut(rel, target)
	}
	if why != "" {
		return &NameError{rel, why}
	}
	p := d.Part(rel)
	p.Remove()
	if err := d.part.Symlink(filepath.FromSlash(target), p.id); err != nil {
		return err
	}
	if err := p.Commit(); err != nil {
		p.Remove()
		return err
	}
	return nil
}

// Hardlink makes rel a second name of first, and reports whether it was none yet.
func (d *Dest) Hardlink(first, rel string) (made bool, err error) {
	a, err := d.Lstat(first)
	if err != nil {
		return false, err
	}
	if b, err := d.Lstat(rel); err == nil && os.SameFile(a, b) {
		return false, nil
	}
	p := d.Part(rel)
	p.Remove()
	if err := d.root.Link(filepath.FromSlash(first), filepath.Join(d.name, p.id)); err != nil {
		return false, err
	}
	return true, p.Commit()
}

// SetMeta gives rel (a file or folder, never a link) mode and time.
func (d *Dest) SetMeta(rel string, mode fs.FileMode, mtime time.Time) error {
	h, base, err := d.parent(rel, false)
	if err != nil {
		return err
	}
	defer h.release()
	fi, err := h.r.Lstat(base)
	if err != nil {
		return err
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		return ErrInTheWay
	}
	if fi.Mode().Perm() != mode.Perm() {
		if err := h.r.Chmod(base, mode.Perm()); err != nil {
			return err
		}
	}
	if fi.ModTime().Equal(mtime) {
		return nil
	}
	return h.r.Chtimes(base, mtime, mtime)
}

// Walk goes through what is below the folder start ("" is the destination
// itself), partial folders left out, as fs.WalkDir does; names are below the
// destination. There is nothing to walk if start is no folder.
func (d *Dest) Walk(start string, fn fs.WalkDirFunc) error {
	if d.root == nil {
		return nil
	}
	if start == "" {
		start = "."
	}
	if fi, err := d.root.Lstat(start); err != nil || !fi.IsDir() {
		return nil
	}
	return fs.WalkDir(d.root.FS(), start, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err == nil && name == start:
			return nil
		case err == nil && strings.HasPrefix(name, PartialPrefix):
			return fs.SkipDir
		}
		return fn(name, e, err)
	})
}

// Remove removes rel and, if it is a folder, what is in it.
func (d *Dest) Remove(rel string) error {
	d.dirs.forgetBelow(rel)
	h, base, err := d.parent(rel, false)
	if err != nil {
		return err
	}
	defer h.release()
	return h.r.RemoveAll(base)
}
