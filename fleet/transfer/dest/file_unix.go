//go:build unix

package dest

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// rawFile is a new file of the partial folder. It is a bare descriptor: an
// os.File opened through os.Root costs about three times as many system calls,
// which for small files is most of the work. What os.Root protects from cannot
// happen here: the name is a single part that this package made, it is looked up
// in a folder that is open already, and it must not exist.
type rawFile struct {
	fd   int
	name string
}

// newFile makes the file id of the partial folder.
func (d *Dest) newFile(id string, perm fs.FileMode) (*rawFile, error) {
	const flags = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	for {
		fd, err := unix.Openat(d.partFD, id, flags, uint32(perm.Perm()))
		if err == nil {
			return &rawFile{fd, id}, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: id, Err: err}
		}
	}
}

// WriteAt writes all of p or returns why not.
func (f *rawFile) WriteAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := unix.Pwrite(f.fd, p[n:], off+int64(n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && m <= 0 {
			err = unix.EIO
		}
		if err != nil {
			return n, f.failed("write", err)
		}
		n += m
	}
	return n, nil
}

func (f *rawFile) Truncate(size int64) error {
	return f.failed("truncate", unix.Ftruncate(f.fd, size))
}

func (f *rawFile) Chmod(mode fs.FileMode) error {
	return f.failed("chmod", unix.Fchmod(f.fd, uint32(mode.Perm())))
}

func (f *rawFile) Sync() error { return f.failed("sync", unix.Fsync(f.fd)) }

// Close ends it; on some file systems only now does it show that the disk is
// full. It is not tried again after EINTR (close(2)).
func (f *rawFile) Close() error {
	if err := unix.Close(f.fd); err != nil && !errors.Is(err, unix.EINTR) {
		return f.failed("close", err)
	}
	return nil
}

func (f *rawFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// setPartTime sets the time of the file id of the partial folder.
func (d *Dest) setPartTime(id string, mtime time.Time) error {
	ts, err := unix.TimeToTimespec(mtime)
	if err == nil {
		err = unix.UtimesNanoAt(d.partFD, id, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return &fs.PathError{Op: "utimes", Path: id, Err: err}
	}
	return nil
}

// descriptor is f's, for calls relative to a folder while f is open. (Each call
// of Fd costs two system calls.)
func descriptor(f *os.File) int { return int(f.Fd()) }
