//go:build unix

package box

import (
	"io/fs"
	"syscall"
)

// sysInfo is what the host knows about a file beyond fs.FileInfo.
type sysInfo struct {
	ino, dev, nlink uint64
	blocks          int64 // of 512 bytes
}

func sysOf(fi fs.FileInfo) sysInfo {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return sysInfo{nlink: 1, blocks: (fi.Size() + 511) / 512}
	}
	return sysInfo{ino: uint64(st.Ino), dev: uint64(st.Dev), nlink: uint64(st.Nlink), blocks: int64(st.Blocks)}
}
