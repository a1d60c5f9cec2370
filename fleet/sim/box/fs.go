package box

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	maxLinks = 40       // symbolic links followed in one path, as Linux
	diskSize = 16 << 30 // bytes a VM may write
)

// FS is a VM's file system: a folder of the host that is only ever reached
// through os.Root. All paths are absolute paths of the VM; symbolic links,
// also absolute ones and those that climb, stay inside. It is safe for
// concurrent use.
type FS struct {
	root *os.Root
	free atomic.Int64

	mu      sync.Mutex
	special map[string]Special
}

// Special is a file that is no plain file: a device or the FIFO of a
// lieutenant. A placeholder of the same name must exist in the folder.
type Special struct {
	Mode fs.FileMode // type and permission bits
	// Open is called instead of opening the placeholder.
	Open func(ctx context.Context, flag int) (File, error)
}

// NewFS opens dir, which must exist, as the root of a VM.
func NewFS(dir string) (*FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &FS{root: root, special: make(map[string]Special)}
	f.free.Store(diskSize)
	return f, nil
}

// Close releases the folder.
func (f *FS) Close() error { return f.root.Close() }

// SetSpecial declares the file at name special.
func (f *FS) SetSpecial(name string, s Special) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.special[name] = s
}

func (f *FS) specialAt(name string) (Special, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, found := f.special[name]
	return s, found
}

// info is what the VM says about a file: as on the host, except that special
// files have their own type.
type info struct {
	fs.FileInfo
	name string
	mode fs.FileMode
}

func (i info) Name() string      { return i.name }
func (i info) Mode() fs.FileMode { return i.mode }
func (i info) Uid() uint32       { return 0 } // everything belongs to root,
func (i info) Gid() uint32       { return 0 } // whoever runs the simulator

// entry returns the details of a folder's entry; name is its full path.
func (f *FS) entry(name string, e fs.DirEntry) (fs.FileInfo, error) {
	fi, err := e.Info()
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return f.dress(relative(name), e.Name(), fi), nil
}

// space returns the size of the VM's disk and how much of it is free.
func (f *FS) space() (total, free int64) {
	return diskSize, f.free.Load()
}

// stat follows symbolic links.
func (f *FS) stat(name string) (fs.FileInfo, error) { return f.look(name, true) }

// lstat does not follow a symbolic link at the end of name.
func (f *FS) lstat(name string) (fs.FileInfo, error) { return f.look(name, false) }

func (f *FS) look(name string, follow bool) (fs.FileInfo, error) {
	op := f.root.Lstat
	if follow {
		op = f.root.Stat
	}
	var fi fs.FileInfo
	rel, err := f.do("stat", name, follow, func(rel string) (err error) {
		fi, err = op(rel)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f.dress(rel, path.Base(path.Clean(name)), fi), nil
}

// dress gives a file its special type.
func (f *FS) dress(rel, base string, fi fs.FileInfo) fs.FileInfo {
	mode := fi.Mode()
	if s, found := f.specialAt("/" + rel); found && mode.IsRegular() {
		mode = s.Mode
	}
	return info{FileInfo: fi, name: base, mode: mode}
}

// readlink returns the target of a symbolic link.
func (f *FS) readlink(name string) (target string, err error) {
	_, err = f.do("readlink", name, false, func(rel string) (err error) {
		target, err = f.root.Readlink(rel)
		return err
	})
	return target, err
}

// readDir lists a folder, sorted by name.
func (f *FS) readDir(name string) ([]fs.DirEntry, error) {
	var entries []fs.DirEntry
	_, err := f.do("open", name, true, func(rel string) error {
		dir, err := f.root.Open(rel)
		if err != nil {
			return err
		}
		defer dir.Close()
		entries, err = dir.ReadDir(-1)
		if err != nil {
			return err
		}
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		return f.dressAll(rel, entries)
	})
	return entries, err
}

// dressAll replaces the entries of special files and reads the others' details
// lazily. A file that vanished meanwhile is left to the caller's Info.
func (f *FS) dressAll(rel string, entries []fs.DirEntry) error {
	for i, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if _, found := f.specialAt(path.Join("/", rel, e.Name())); !found {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		entries[i] = fs.FileInfoToDirEntry(f.dress(path.Join(rel, e.Name()), e.Name(), fi))
	}
	return nil
}

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

// open opens a file for reading.
func (f *FS) open(ctx context.Context, name string) (File, error) {
	return f.openFile(ctx, name, os.O_RDONLY, 0)
}

const writing = os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND

// openFile opens a file with the flags of package os. Folders open for
// reading, as on Linux, but cannot be read.
func (f *FS) openFile(ctx context.Context, name string, flag int, perm fs.FileMode) (File, error) {
	if s, found := f.specialAt(path.Clean(name)); found {
		file, err := s.Open(ctx, flag)
		if err != nil {
			return nil, pathError("open", name, err)
		}
		return file, nil
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

// do runs op on the name below the root that a path of the VM means, and
// returns that name. The quick way lets os.Root follow links itself; what it
// refuses (absolute links, links that climb above the root) is resolved by
// walk and tried again.
func (f *FS) do(verb, name string, follow bool, op func(rel string) error) (string, error) {
	if !strings.HasPrefix(name, "/") || strings.IndexByte(name, 0) >= 0 {
		return "", pathError(verb, name, syscall.ENOENT)
	}
	if !strings.Contains(name, "..") && !strings.HasSuffix(name, "/") {
		rel := relative(name)
		err := op(rel)
		if err == nil {
			return rel, nil
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) {
			return "", pathError(verb, name, err)
		}
	}
	rel, err := f.walk(name, follow)
	if err == nil {
		err = op(rel)
	}
	if err != nil {
		return "", pathError(verb, name, err)
	}
	return rel, nil
}

// pathError says about a VM's path what the host said about its own.
func pathError(verb, name string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return &fs.PathError{Op: verb, Path: name, Err: err}
}

func relative(name string) string {
	rel := strings.TrimPrefix(path.Clean(name), "/")
	if rel == "" {
		return "."
	}
	return rel
}

// walk resolves a path the way a kernel does inside a chroot: ".." stops at
// the root, absolute links begin there. A missing last component is fine.
func (f *FS) walk(name string, follow bool) (string, error) {
	todo := components(name)
	follow = follow || strings.HasSuffix(name, "/")
	var done []string
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		if part == ".." {
			done = done[:max(len(done)-1, 0)]
			continue
		}
		here := path.Join(path.Join(done...), part)
		last := len(todo) == 0
		fi, err := f.root.Lstat(here)
		if err != nil {
			if last && errors.Is(err, fs.ErrNotExist) {
				return here, nil
			}
			return "", err
		}
		switch {
		case fi.Mode()&fs.ModeSymlink != 0 && (!last || follow):
			if links++; links > maxLinks {
				return "", syscall.ELOOP
			}
			target, err := f.root.Readlink(here)
			if err != nil {
				return "", err
			}
			if strings.HasPrefix(target, "/") {
				done = nil
			}
			todo = append(components(target), todo...)
		case !fi.IsDir() && !last:
			return "", syscall.ENOTDIR
		default:
			done = append(done, part)
		}
	}
	return relative("/" + path.Join(done...)), nil
}

// components splits a path; "." and empty parts mean nothing.
func components(name string) []string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}

// realPath resolves all links in name; every component but the last must exist.
func (f *FS) realPath(name string) (string, error) {
	rel, err := f.walk(name, true)
	if err != nil {
		return "", pathError("realpath", name, err)
	}
	return path.Join("/", rel), nil
}
