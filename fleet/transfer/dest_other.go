//go:build !unix

package transfer

import (
	"errors"
	"os"
	"path/filepath"
)

// tryLock relies on the exclusive rename of partial folders alone.
func tryLock(*os.File) error { return nil }

func (d *dest) rename(id string, h *dirHandle, base string) error {
	name, err := filepath.Rel(d.root.Name(), filepath.Join(h.f.Name(), base))
	if err != nil {
		return err
	}
	return d.root.Rename(filepath.Join(d.name, id), name)
}

// isFull tells whether err means that there is no room.
func isFull(err error) bool { return errors.Is(err, errDiskFull) }

var errDiskFull = errors.New("disk full")

func allocated(fi os.FileInfo) int64 { return fi.Size() }

// inodeOf is not known here: each name is a file of its own.
func inodeOf(os.FileInfo) (inode, bool) { return inode{}, false }

func (d *dest) freeSpace() (int64, bool) { return 0, false }
