package dest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// PartialPrefix begins the name of the folder inside the destination that
// holds what is not finished. No other item may have such a name.
const PartialPrefix = ".vers-fleet-partial-"

// Options says how a destination is used.
type Options struct {
	// Token tells what is fetched: unfinished files are taken up again only
	// for the same token.
	Token    string
	DryRun   bool // nothing is written, DEST need not exist
	Fsync    bool // each file is flushed by itself; otherwise Flush does it at the end
	AllLinks bool // symlinks that lead out of DEST are made too

	// Own are files and folders of this machine, absolute, that nothing is
	// written to or removed from, wherever DEST is.
	Own      []string
	Home     string // the home folder, whose dotfiles are left alone; "" = none
	Dotfiles bool   // these are written too
}

// Dest is an open destination folder. Its methods take names below it, with
// slashes; they are safe for concurrent use.
type Dest struct {
	path   string
	o      Options
	root   *os.Root // nil in a dry run into a folder that does not exist
	part   *os.Root // the partial folder; nil in a dry run
	partF  *os.File // the same folder, for new files and renames
	partFD int      // its descriptor
	name   string   // of the partial folder
	fresh  bool     // the partial folder was empty
	umask  fs.FileMode
	folds  bool // the file system ignores case or Unicode form
	lock   *os.File
	dirs   *dirCache

	own       []string // names below DEST of Options.Own
	home      string   // name below DEST of Options.Home, if holdsHome
	holdsHome bool
}

// Open makes and opens the destination and, unless it is a dry run, the partial
// folder of o.Token. The caller closes it.
func Open(dir string, o Options) (*Dest, error) {
	d := &Dest{path: dir, o: o}
	if in, ok := Within(dir, o.Own); ok {
		return nil, &OwnError{dir, in}
	}
	if !o.DryRun {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
	}
	d.findOwn()
	root, err := os.OpenRoot(dir)
	if o.DryRun && errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	d.root = root
	d.dirs = newDirCache(root)
	if o.DryRun {
		return d, nil
	}
	if err := d.openPartial(); err != nil {
		d.Close(false)
		return nil, err
	}
	d.folds, d.umask = d.findFolding(), d.findMask()
	return d, nil
}

// openPartial takes the first partial folder of the token that no other process
// works in.
func (d *Dest) openPartial() error {
	sum := sha256.Sum256([]byte(d.o.Token))
	for n := range 64 {
		d.name = PartialPrefix + hex.EncodeToString(sum[:6])
		if n > 0 {
			d.name += fmt.Sprintf("-%d", n)
		}
		err := d.root.Mkdir(d.name, 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		d.fresh = err == nil
		if fi, err := d.root.Lstat(d.name); err != nil {
			return err
		} else if !fi.IsDir() {
			continue
		}
		if taken, err := d.takePartial(); taken || err != nil {
			return err
		}
	}
	return errors.New("too many pulls into this folder at once")
}

// takePartial locks the partial folder, or tells that another process has it.
func (d *Dest) takePartial() (taken bool, err error) {
	part, err := d.root.OpenRoot(d.name)
	if err != nil {
		return false, err
	}
	lock, err := part.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil && tryLock(lock) == nil {
		d.part, d.lock = part, lock
		if d.partF, err = part.Open("."); err == nil {
			d.partFD = descriptor(d.partF)
		}
		return true, err
	}
	if lock != nil {
		_ = lock.Close()
	}
	_ = part.Close()
	return false, err
}

// findFolding asks the file system whether two names differing in case or in
// Unicode form are one file.
func (d *Dest) findFolding() bool {
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

// findMask is what the process's umask takes from a new file's mode.
func (d *Dest) findMask() fs.FileMode {
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

// Close lets go of everything; the partial folder goes too unless keep.
func (d *Dest) Close(keep bool) {
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

// Path is the folder as it was opened.
func (d *Dest) Path() string { return d.path }

// Fresh tells that no earlier run left unfinished files.
func (d *Dest) Fresh() bool { return d.fresh }

// Folds tells whether the file system takes names that differ in case or in
// Unicode form for one.
func (d *Dest) Folds() bool { return d.folds }

// Key is the same for two names that are one file here.
func (d *Dest) Key(rel string) string {
	if d.folds {
		return foldName(rel)
	}
	return rel
}

// Empty tells whether nothing but the partial folder is in the destination.
func (d *Dest) Empty() bool {
	f, err := d.root.Open(".")
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(2)
	return len(names) == 0 || (len(names) == 1 && names[0] == d.name)
}

// Lstat looks at rel. A missing parent is fs.ErrNotExist, a blocked one
// ErrInTheWay.
func (d *Dest) Lstat(rel string) (fs.FileInfo, error) {
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

// Readlink is the target of the symlink at rel, "" if there is none.
func (d *Dest) Readlink(rel string) (string, error) {
	if d.root == nil {
		return "", nil
	}
	h, base, err := d.parent(rel, false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer h.release()
	target, _ := h.r.Readlink(base)
	return target, nil
}

// Read opens the regular file in place at rel, for reading.
func (d *Dest) Read(rel string) (*os.File, error) {
	h, base, err := d.parent(rel, false)
	if err != nil {
		return nil, err
	}
	defer h.release()
	if fi, err := h.r.Lstat(base); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, ErrInTheWay
	}
	return h.r.Open(base)
}

// parent opens the folder that holds rel, after the check of the name; the
// caller releases it.
func (d *Dest) parent(rel string, create bool) (*dirHandle, string, error) {
	if why := CheckName(rel); why != "" {
		return nil, "", &NameError{rel, why}
	}
	dir, base := path.Split(rel)
	h, err := d.dirs.get(strings.TrimSuffix(dir, "/"), create)
	return h, base, err
}
