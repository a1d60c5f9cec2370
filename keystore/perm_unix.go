//go:build unix

package keystore

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// runtimeChecksModes says that permission bits mean something here.
const runtimeChecksModes = true

func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// hardLinks returns how many names a file has.
func hardLinks(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// openNoFollow opens for reading; it fails on a symbolic link and does not
// hang on a FIFO.
func openNoFollow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// syncDir makes the entries of a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// stamper takes the stamps of records, from a folder that is opened once.
type stamper struct{ keys *os.File }

func (s *Store) newStamper() stamper {
	f, err := os.Open(s.path("keys"))
	if err != nil {
		return stamper{}
	}
	return stamper{f}
}

func (st stamper) close() {
	if st.keys != nil {
		_ = st.keys.Close() // it was read
	}
}

// stamp is that of a VM's record; zero unless its folder and it are as
// checkFolder and readShown want them.
func (st stamper) stamp(id string) fileStamp {
	if st.keys == nil {
		return fileStamp{}
	}
	fd, me := int(st.keys.Fd()), uint32(os.Geteuid())
	var f unix.Stat_t
	if unix.Fstatat(fd, id, &f, unix.AT_SYMLINK_NOFOLLOW) != nil || f.Mode&unix.S_IFMT != unix.S_IFDIR || f.Mode&0o077 != 0 || f.Uid != me {
		return fileStamp{}
	}
	if unix.Fstatat(fd, id+"/"+fileRecord, &f, unix.AT_SYMLINK_NOFOLLOW) != nil || f.Mode&unix.S_IFMT != unix.S_IFREG || f.Mode&0o022 != 0 || f.Uid != me {
		return fileStamp{}
	}
	return fileStamp{inode: f.Ino, size: uint64(f.Size), mtime: f.Mtim.Nano(), changed: f.Ctim.Nano()}
}
