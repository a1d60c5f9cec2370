//go:build !unix

package dest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// tryLock relies on the exclusive rename of partial folders alone.
func tryLock(*os.File) error { return nil }

func (d *Dest) rename(id string, h *dirHandle, base string) error {
	name, err := filepath.Rel(d.root.Name(), filepath.Join(h.f.Name(), base))
	if err != nil {
		return err
	}
	return d.root.Rename(filepath.Join(d.name, id), name)
}

// OpenRegular opens a file for reading.
func OpenRegular(name string) (*os.File, error) { return os.Open(name) }

// IsFull tells whether err means that there is no room.
func IsFull(err error) bool { return errors.Is(err, errDiskFull) }

// NoLinks tells whether err means that there are no hard links here.
func NoLinks(err error) bool { return errors.Is(err, errors.ErrUnsupported) }

var errDiskFull = errors.New("disk full")

func allocated(fi os.FileInfo) int64 { return fi.Size() }

// FreeSpace is not known here.
func (d *Dest) FreeSpace() (int64, bool) { return 0, false }

// rawFile is a new file of the partial folder.
type rawFile = os.File

// newFile makes the file id of the partial folder.
func (d *Dest) newFile(id string, perm fs.FileMode) (*rawFile, error) {
	return d.part.OpenFile(id, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
}

// setPartTime sets the time of the file id of the partial folder.
func (d *Dest) setPartTime(id string, mtime time.Time) error {
	return d.part.Chtimes(id, mtime, mtime)
}

func descriptor(*os.File) int { return -1 }
