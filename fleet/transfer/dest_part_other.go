//go:build !unix

package transfer

import (
	"io/fs"
	"os"
	"time"
)

// partFile is a new file of the partial folder.
type partFile = os.File

// newPart makes the file id of the partial folder.
func (d *dest) newPart(id string, perm fs.FileMode) (*partFile, error) {
	return d.part.OpenFile(id, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
}

// setPartTime sets the time of the file id of the partial folder.
func (d *dest) setPartTime(id string, mtime time.Time) error {
	return d.part.Chtimes(id, mtime, mtime)
}

func descriptor(*os.File) int { return -1 }
