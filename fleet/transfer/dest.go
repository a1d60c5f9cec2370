package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// partialPrefix begins the name of the folder inside the destination that
// holds what is not finished.
const partialPrefix = ".vers-fleet-partial-"

// dest is the destination folder. Nothing outside it is ever written: every
// path goes through os.Root, one folder at a time, and a symlink on the way is
// refused even if it stays inside.
type dest struct {
	path   string
	root   *os.Root // nil in a dry run into a folder that does not exist
	part   *os.Root // the partial folder; nil in a dry run
	partF  *os.File // the same folder, for new files and renames
	partFD int      // its descriptor
	name   string   // of the partial folder
	new    bool     // the partial folder was empty
	umask  fs.FileMode
	fold   bool // the file system ignores case or Unicode form
	fsync  bool
	lock   *os.File
	dirs   *dirCache
}

// openDest makes and opens the destination and, unless it is a dry run, the
// partial folder of this source.
func openDest(dir string, o PullOptions) (*dest, error) {
	d := &dest{path: dir, fsync: o.Fsync}
	if !o.DryRun {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, &LocalError{dir, err}
		}
	}
	root, err := os.OpenRoot(dir)
	if o.DryRun && errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, &LocalError{dir, err}
	}
	d.root = root
	d.dirs = newDirCache(root)
	if o.DryRun {
		return d, nil
	}
	if err := d.openPartial(o.Source + "\x00" + strings.Join(o.Paths, "\x00")); err != nil {
		d.close(false)
		return nil, &LocalError{dir, err}
	}
	d.fold, d.umask = d.folds(), d.mask()
	return d, nil
}

// openPartial takes the first partial folder of this token that no other
// process works in.
func (d *dest) openPartial(token string) error {
	sum := sha256.Sum256([]byte(token))
	for n := range 64 {
		d.name = partialPrefix + hex.EncodeToString(sum[:6])
		if n > 0 {
			d.name += fmt.Sprintf("-%d", n)
		}
		err := d.root.Mkdir(d.name, 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		d.new = err == nil
		if fi, err := d.root.Lstat(d.name); err != nil {
			return err
		} else if !fi.IsDir() {
			continue
		}
		part, err := d.root.OpenRoot(d.name)
		if err != nil {
			return err
		}
		lock, err := part.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil && tryLock(lock) == nil {
			d.part, d.lock = part, lock
			if d.partF, err = part.Open("."); err == nil {
				d.partFD = descriptor(d.partF)
			}
			return err
		}
		if lock != nil {
			_ = lock.Close()
		}
		_ = part.Close()
		if err != nil {
			return err
		}
	}
	return errors.New("too many pulls into this folder at once")
}

// folds asks the file system whether two names differing in case or in Unicode
// form are one file.
func (d *dest) folds() bool {
	for _, pair := range [][2]string{{"fold-a", "FOLD-A"}, {"fold-\u00e9", "fold-e\u0301"}} {
		f, err := d.part.Create(pair[0])
		if err != nil {
			return false
		}
		_ = f.Close()
		_, err = d.part.Lstat(pair[1])
		_ = d.part.Remove(pair[0])
		if err == nil {
			return true
		}
	}
	return false
}

// mask is what the process's umask takes from a new file's mode.
func (d *dest) mask() fs.FileMode {
	f, err := d.part.OpenFile("mask", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o777)
	if err != nil {
		return 0o777
	}
	defer func() { _ = d.part.Remove("mask") }()
	defer func() { _ = f.Close() }()
	fi, err := f.Stat()
	if err != nil {
		return 0o777
	}
	return 0o777 &^ fi.Mode().Perm()
}

// empty tells whether nothing but the partial folder is in the destination.
func (d *dest) empty() bool {
	f, err := d.root.Open(".")
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(2)
	return len(names) == 0 || (len(names) == 1 && names[0] == d.name)
}

// close lets go of everything; the partial folder goes too unless keep.
func (d *dest) close(keep bool) {
	if d.dirs != nil {
		d.dirs.close()
	}
	if d.part != nil {
		_ = d.part.Close()
		if d.partF != nil {
			_ = d.partF.Close()
		}
		if !keep {
			_ = d.root.RemoveAll(d.name)
		}
	}
	if d.lock != nil {
		_ = d.lock.Close()
	}
	if d.root != nil {
		_ = d.root.Close()
	}
}

// lstat looks at rel; a missing or blocked parent is an error.
func (d *dest) lstat(rel string) (fs.FileInfo, error) {
	if d.root == nil {
		return nil, fs.ErrNotExist
	}
	h, base, err := d.parent(rel, false)
	if err != nil {
		return nil, err
	}
	defer h.release()
	return h.r.Lstat(base)
}

// parent opens the folder that holds rel.
func (d *dest) parent(rel string, create bool) (*dirHandle, string, error) {
	dir, base := path.Split(rel)
	h, err := d.dirs.get(strings.TrimSuffix(dir, "/"), create)
	return h, base, err
}

// errInTheWay refuses to replace a folder by a file, or to go through a
// symlink or file as if it were a folder.
var errInTheWay = errors.New("something of another type is in the way here")

// commit moves the finished file id of the partial folder to rel.
func (d *dest) commit(id, rel string) error {
	h, base, err := d.parent(rel, true)
	if err != nil {
		return err
	}
	defer h.release()
	err = d.rename(id, h, base)
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) && h.makeWritable() {
		err = d.rename(id, h, base)
	}
	if fi, e := h.r.Lstat(base); err != nil && e == nil && fi.IsDir() {
		return errInTheWay
	}
	return err
}

// mkdir makes the folder rel, and reports whether it is new.
func (d *dest) mkdir(rel string) (made bool, err error) {
	h, base, err := d.parent(rel, true)
	if err != nil {
		return false, err
	}
	defer h.release()
	return h.mkdir(base)
}

// symlink puts a link at rel in one step, replacing a file or link.
func (d *dest) symlink(rel, target string) error {
	id := partID(rel)
	_ = d.part.Remove(id)
	if err := d.part.Symlink(filepath.FromSlash(target), id); err != nil {
		return err
	}
	if err := d.commit(id, rel); err != nil {
		_ = d.part.Remove(id)
		return err
	}
	return nil
}

// hardlink makes rel a second name of first, and reports whether it was none yet.
func (d *dest) hardlink(first, rel string) (made bool, err error) {
	a, err := d.lstat(first)
	if err != nil {
		return false, err
	}
	if b, err := d.lstat(rel); err == nil && os.SameFile(a, b) {
		return false, nil
	}
	id := partID(rel)
	_ = d.part.Remove(id)
	if err := d.root.Link(filepath.FromSlash(first), filepath.Join(d.name, id)); err != nil {
		return false, err
	}
	return true, d.commit(id, rel)
}

// setMeta gives rel (a file or folder, never a link) mode and time.
func (d *dest) setMeta(rel string, mode fs.FileMode, mtime time.Time) error {
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
		return errInTheWay
	}
	if fi.Mode().Perm() != mode {
		if err := h.r.Chmod(base, mode); err != nil {
			return err
		}
	}
	if fi.ModTime().Equal(mtime) {
		return nil
	}
	return h.r.Chtimes(base, mtime, mtime)
}

// partID names the unfinished file of rel.
func partID(rel string) string {
	sum := sha256.Sum256([]byte(rel))
	return "f-" + hex.EncodeToString(sum[:16])
}
