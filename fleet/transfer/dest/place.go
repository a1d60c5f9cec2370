package dest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrInTheWay refuses to replace a folder by a file, or to go through a
// symlink or file as if it were a folder.
var ErrInTheWay = errors.New("something of another type is in the way here")

// Mkdir makes the folder rel and those above it, and reports whether it is new.
func (d *Dest) Mkdir(rel string) (made bool, err error) {
	if err := d.free(rel, true); err != nil {
		return false, err
	}
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
	switch b, err := d.Lstat(rel); {
	case err != nil:
	case os.SameFile(a, b):
		return false, nil
	case !b.Mode().IsRegular() && b.Mode()&fs.ModeSymlink == 0:
		return false, ErrInTheWay
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
	if err := d.free(rel, true); err != nil {
		return err
	}
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

// ReadDir lists the folder rel ("" is the destination itself) by name, partial
// folders left out. A folder that is none, or not there, has nothing in it.
func (d *Dest) ReadDir(rel string) ([]fs.DirEntry, error) {
	if d.root == nil {
		return nil, nil
	}
	if rel != "" {
		if fi, err := d.Lstat(rel); err != nil || !fi.IsDir() {
			return nil, nil
		}
	}
	h, err := d.dirs.get(rel, false)
	if err != nil {
		return nil, err
	}
	defer h.release()
	entries, err := fs.ReadDir(h.r.FS(), ".")
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return rel == "" && strings.HasPrefix(e.Name(), PartialPrefix)
	}), err
}

// Remove removes a file, a link or an empty folder.
func (d *Dest) Remove(rel string) error {
	if err := d.free(rel, true); err != nil {
		return err
	}
	d.dirs.forgetBelow(rel)
	h, base, err := d.parent(rel, false)
	if err != nil {
		return err
	}
	defer h.release()
	err = h.r.Remove(base)
	if errors.Is(err, fs.ErrPermission) && h.makeWritable() {
		err = h.r.Remove(base)
	}
	return err
}

// Unlock gives the owner every right to the folder rel, so that what is in it
// can be removed.
func (d *Dest) Unlock(rel string) error {
	if err := d.free(rel, true); err != nil {
		return err
	}
	h, base, err := d.parent(rel, false)
	if err != nil {
		return err
	}
	defer h.release()
	fi, err := h.r.Lstat(base)
	if err != nil || !fi.IsDir() || fi.Mode().Perm()&0o700 == 0o700 {
		return err
	}
	return h.r.Chmod(base, fi.Mode().Perm()|0o700)
}
