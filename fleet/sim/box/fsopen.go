package box

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// File is an open file of a VM.
type File interface {
	io.ReadWriteCloser
	Stat() (fs.FileInfo, error)
}

// regular is an open plain file whose writes count against the VM's disk.
type regular struct {
	*os.File
	fs   *FS
	name string
}

// Open opens a file for reading.
func (f *FS) Open(ctx context.Context, name string) (File, error) {
	return f.OpenFile(ctx, name, os.O_RDONLY, 0)
}

const writing = os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND

// OpenFile opens a file with the flags of package os. Folders open for
// reading, as on Linux, but cannot be read.
func (f *FS) OpenFile(ctx context.Context, name string, flag int, perm fs.FileMode) (File, error) {
	if s, found := f.specialAt(path.Clean(name)); found {
		file, err := s.Open(ctx, flag)
		if err != nil {
			return nil, pathError("open", name, err)
		}
		return file, nil
	}
	if flag&writing != 0 && f.readOnly.Load() {
		return nil, pathError("open", name, syscall.EROFS)
	}
	var file *os.File
	_, err := f.do("open", name, flag&os.O_EXCL == 0, func(rel string) (err error) {
		file, err = f.root.OpenFile(rel, flag, perm.Perm())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &regular{File: file, fs: f, name: name}, nil
}

// spend takes up to n bytes from the disk and returns how many there were.
func (f *FS) spend(n int) int {
	for {
		free := f.free.Load()
		got := min(int64(n), free)
		if f.free.CompareAndSwap(free, free-got) {
			return int(got)
		}
	}
}

// limited writes p as far as the disk has room for it.
func (r *regular) limited(p []byte, write func([]byte) (int, error)) (int, error) {
	if r.fs.readOnly.Load() {
		return 0, pathError("write", r.name, syscall.EROFS)
	}
	room := r.fs.spend(len(p))
	n, err := write(p[:room])
	if err == nil && room < len(p) {
		err = pathError("write", r.name, syscall.ENOSPC)
	}
	return n, err
}

func (r *regular) Write(p []byte) (int, error) { return r.limited(p, r.File.Write) }

func (r *regular) WriteString(text string) (int, error) { return r.Write([]byte(text)) }

func (r *regular) WriteAt(p []byte, off int64) (int, error) {
	return r.limited(p, func(p []byte) (int, error) { return r.File.WriteAt(p, off) })
}

// ReadFrom hides the method of os.File, which would write past the limit.
func (r *regular) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{r}, src)
}

func (r *regular) Stat() (fs.FileInfo, error) {
	fi, err := r.File.Stat()
	if err != nil {
		return nil, pathError("stat", r.name, err)
	}
	return info{FileInfo: fi, name: path.Base(r.name), mode: fi.Mode()}, nil
}
