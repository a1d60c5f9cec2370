//go:build unix

package transfer

import (
	"os"
	"syscall"
)

// inodeOf is what tells whether two names are one file; many: it has several.
func inodeOf(fi os.FileInfo) (id inode, many bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || !fi.Mode().IsRegular() || st.Nlink < 2 {
		return inode{}, false
	}
	return inode{uint64(st.Dev), uint64(st.Ino)}, true
}

// blocksOf is how many blocks of 512 bytes a file takes, -1 if that is not known.
func blocksOf(fi os.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int64(st.Blocks)
	}
	return -1
}
