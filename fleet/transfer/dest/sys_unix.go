//go:build unix

package dest

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock takes an advisory lock that ends with the process.
func tryLock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// rename moves id of the partial folder to base in h. Both names are single
// parts, so nothing can lead elsewhere.
func (d *Dest) rename(id string, h *dirHandle, base string) error {
	err := unix.Renameat(d.partFD, id, h.fd, base)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: id, New: base, Err: err}
	}
	return nil
}

// OpenRegular opens a file for reading; a FIFO that took its place is not waited for.
func OpenRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: name, Err: errors.New("no regular file any more")}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// IsFull tells whether err means that there is no room.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// NoLinks tells whether err means that a file can have no (further) name here: it
// has as many as the file system allows, or that knows no hard links.
func NoLinks(err error) bool {
	for _, no := range []error{unix.EMLINK, unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS, unix.EXDEV} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// allocated is how much of the disk a file takes, bytes.
func allocated(fi os.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int64(st.Blocks) * 512
	}
	return 0
}

// FreeSpace is how many bytes may still be written here; ok is false if that
// cannot be known.
func (d *Dest) FreeSpace() (free int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.path, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
