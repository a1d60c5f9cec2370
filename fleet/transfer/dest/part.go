package dest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Part is one file of the destination while it is unfinished: content below a
// temporary name in the partial folder, and perhaps a journal beside it. It is
// only a name; nothing need be there.
type Part struct {
	d   *Dest
	rel string
	id  string
}

// Part is the unfinished file of rel.
func (d *Dest) Part(rel string) Part {
	sum := sha256.Sum256([]byte(rel))
	return Part{d, rel, "f-" + hex.EncodeToString(sum[:16])}
}

// journal is the name of its journal.
func (p Part) journal() string { return p.id + ".x" }

// Create makes the content anew, for writing from the start to the end; what
// was there goes.
func (p Part) Create(perm fs.FileMode) (*File, error) {
	f, err := p.d.newFile(p.id, perm)
	if errors.Is(err, fs.ErrExist) {
		_ = p.d.part.Remove(p.journal())
		if err := p.d.part.Remove(p.id); err != nil {
			return nil, err
		}
		f, err = p.d.newFile(p.id, perm)
	}
	if err != nil {
		return nil, err
	}
	return &File{f, p, perm.Perm() &^ p.d.umask}, nil
}

// File is content that is being written.
type File struct {
	raw  *rawFile
	part Part
	mode fs.FileMode // what it has
}

// WriteAt writes all of b at off, or returns why not.
func (f *File) WriteAt(b []byte, off int64) (int, error) { return f.raw.WriteAt(b, off) }

// Truncate sets the size; what was not written is a hole.
func (f *File) Truncate(size int64) error { return f.raw.Truncate(size) }

// Finish ends writing: mode, flush if that is asked for, and last the time,
// which marks it complete. Where it fails nothing is left.
func (f *File) Finish(perm fs.FileMode, mtime time.Time) error {
	err := f.part.setMode(f.raw, f.mode, perm)
	if e := f.raw.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = f.part.d.setPartTime(f.part.id, mtime)
	}
	if err != nil {
		f.part.Remove()
	}
	return err
}

// Discard ends writing and removes what was written.
func (f *File) Discard() {
	_ = f.raw.Close()
	f.part.Remove()
}

// setMode sets the mode if it is another than has, and flushes if that is asked
// for.
func (p Part) setMode(f interface {
	Chmod(fs.FileMode) error
	Sync() error
}, has, perm fs.FileMode) error {
	if has != perm.Perm() {
		if err := f.Chmod(perm.Perm()); err != nil {
			return err
		}
	}
	if p.d.o.Fsync || !haveSyncfs {
		return f.Sync()
	}
	return nil
}

// Resume opens the content for reading and writing as an earlier run left it,
// or empty. The caller closes it; FinishResumed makes it complete.
func (p Part) Resume() (*os.File, error) {
	f, err := p.d.part.OpenFile(p.id, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) { // it was complete, with a mode that forbids writing
		_ = p.d.part.Chmod(p.id, 0o600)
		f, err = p.d.part.OpenFile(p.id, os.O_RDWR|os.O_CREATE, 0o600)
	}
	return f, err
}

// FinishResumed gives content that was opened by Resume its mode and time,
// flushes it if that is asked for, and removes the journal.
func (p Part) FinishResumed(f *os.File, perm fs.FileMode, mtime time.Time) error {
	const unknown = fs.ModeIrregular // what mode it has
	if err := p.setMode(f, unknown, perm); err != nil {
		return err
	}
	if err := p.d.part.Chtimes(p.id, mtime, mtime); err != nil {
		return err
	}
	_ = p.d.part.Remove(p.journal())
	return nil
}

// OpenJournal opens the journal that an earlier run left.
func (p Part) OpenJournal() (*os.File, error) { return p.d.part.Open(p.journal()) }

// CreateJournal begins a journal anew, for appending.
func (p Part) CreateJournal() (*os.File, error) {
	return p.d.part.OpenFile(p.journal(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
}

// Begun tells whether an earlier run began it with a journal.
func (p Part) Begun() bool {
	_, err := p.d.part.Lstat(p.journal())
	return err == nil
}

// Stat looks at the content.
func (p Part) Stat() (fs.FileInfo, error) { return p.d.part.Lstat(p.id) }

// Open opens the content, for reading.
func (p Part) Open() (*os.File, error) { return p.d.part.Open(p.id) }

// Held is how much of the disk its content takes already, bytes.
func (p Part) Held() int64 {
	if p.d.part == nil || p.d.fresh {
		return 0
	}
	if fi, err := p.Stat(); err == nil {
		return allocated(fi)
	}
	return 0
}

// Remove removes the content.
func (p Part) Remove() { _ = p.d.part.Remove(p.id) }

// Commit moves the finished content to its place. A folder there is not
// replaced: ErrInTheWay.
func (p Part) Commit() error {
	if err := p.d.free(p.rel, false); err != nil {
		return err
	}
	h, base, err := p.d.parent(p.rel, true)
	if err != nil {
		return err
	}
	defer h.release()
	err = p.d.rename(p.id, h, base)
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) && h.makeWritable() {
		err = p.d.rename(p.id, h, base)
	}
	if fi, e := h.r.Lstat(base); err != nil && e == nil && fi.IsDir() {
		return ErrInTheWay
	}
	return err
}
