//go:build !unix

package box

import "io/fs"

// sysInfo is what the host knows about a file beyond fs.FileInfo.
type sysInfo struct {
	ino, dev, nlink uint64
	blocks          int64 // of 512 bytes
}

func sysOf(fi fs.FileInfo) sysInfo {
	return sysInfo{nlink: 1, blocks: (fi.Size() + 511) / 512}
}
