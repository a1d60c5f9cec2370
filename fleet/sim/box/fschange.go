package box

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

// change runs an op that answers only with its error.
func (f *FS) change(verb, name string, follow bool, op func(rel string) error) error {
	_, err := f.do(verb, name, follow, op)
	return err
}

// mkdir makes one folder.
func (f *FS) mkdir(name string, perm fs.FileMode) error {
	return f.change("mkdir", path.Clean(name), false, func(rel string) error { return f.root.Mkdir(rel, perm.Perm()) })
}

// MkdirAll makes a folder and its parents.
func (f *FS) MkdirAll(name string, perm fs.FileMode) error {
	name = path.Clean(name)
	fi, err := f.stat(name)
	if err == nil {
		if !fi.IsDir() {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		return nil
	}
	if name == "/" || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.MkdirAll(path.Dir(name), perm); err != nil {
		return err
	}
	err = f.mkdir(name, perm)
	if errors.Is(err, fs.ErrExist) {
		if fi, statErr := f.stat(name); statErr == nil && fi.IsDir() {
			return nil
		}
	}
	return err
}

// remove removes a file, a link or an empty folder. Special files stay.
func (f *FS) remove(name string) error {
	if _, found := f.specialAt(path.Clean(name)); found {
		return pathError("remove", name, syscall.EPERM)
	}
	return f.change("remove", path.Clean(name), false, func(rel string) error {
		if rel == "." {
			return syscall.EBUSY
		}
		return f.root.Remove(rel)
	})
}

// rename moves a file or folder over what is there.
func (f *FS) rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	return f.change("rename", from, false, func(relFrom string) error {
		_, err := f.do("rename", to, false, func(relTo string) error { return f.root.Rename(relFrom, relTo) })
		return err
	})
}

// link makes a hard link; like link(2) it does not follow a link at the end.
func (f *FS) link(from, to string) error {
	return f.change("link", from, false, func(relFrom string) error {
		_, err := f.do("link", to, false, func(relTo string) error { return f.root.Link(relFrom, relTo) })
		return err
	})
}

// Symlink makes a symbolic link; its target may be anything.
func (f *FS) Symlink(target, name string) error {
	return f.change("symlink", name, false, func(rel string) error { return f.root.Symlink(target, rel) })
}

// Chmod changes permission, setuid, setgid and sticky bits.
func (f *FS) Chmod(name string, mode fs.FileMode) error {
	return f.change("chmod", name, true, func(rel string) error { return f.root.Chmod(rel, mode) })
}

// Chtimes sets access and modification time; links are followed.
func (f *FS) Chtimes(name string, atime, mtime time.Time) error {
	return f.change("chtimes", name, true, func(rel string) error { return f.root.Chtimes(rel, atime, mtime) })
}

// truncate sets a file's length; growing leaves a hole.
func (f *FS) truncate(name string, size int64) error {
	return f.change("truncate", name, true, func(rel string) error {
		file, err := f.root.OpenFile(rel, syscall.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(file.Truncate(size), file.Close())
	})
}

// WriteFile writes a whole file, for content that a simulator makes.
func (f *FS) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return f.change("open", name, true, func(rel string) error { return f.root.WriteFile(rel, data, perm) })
}

// Append adds data to a file.
func (f *FS) Append(name string, data []byte) error {
	return f.change("open", name, true, func(rel string) error {
		file, err := f.root.OpenFile(rel, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		_, err = file.Write(data)
		return errors.Join(err, file.Close())
	})
}

// readFile reads a whole file, at most limit bytes of it.
func (f *FS) readFile(name string, limit int64) (data []byte, err error) {
	_, err = f.do("open", name, true, func(rel string) error {
		file, err := f.root.Open(rel)
		if err != nil {
			return err
		}
		defer file.Close()
		data, err = io.ReadAll(io.LimitReader(file, limit))
		return err
	})
	return data, err
}

// Clone copies all plain files, folders and links of another VM, except its
// devices and what is there already.
func (f *FS) Clone(src *FS) error { return f.cloneDir(src, "/") }

func (f *FS) cloneDir(src *FS, dir string) error {
	entries, err := src.readDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if name == "/dev" {
			continue
		}
		fi, err := src.entry(name, e)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return err
		}
		if err := f.cloneFile(src, name, fi); err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) cloneFile(src *FS, name string, fi fs.FileInfo) error {
	switch mode := fi.Mode(); {
	case mode.IsDir():
		if err := errors.Join(f.MkdirAll(name, 0o755), f.cloneDir(src, name)); err != nil {
			return err
		}
	case mode&fs.ModeSymlink != 0:
		target, err := src.readlink(name)
		if err != nil {
			return err
		}
		return f.Symlink(target, name)
	case mode.IsRegular():
		if err := f.copyFile(context.Background(), src, name, name); err != nil {
			return err
		}
	default:
		return f.WriteFile(name, nil, 0o644) // a placeholder; its VM declares it special
	}
	return errors.Join(f.Chmod(name, fi.Mode()&^fs.ModeType), f.Chtimes(name, fi.ModTime(), fi.ModTime()))
}

// copyFile copies one file's bytes.
func (f *FS) copyFile(ctx context.Context, src *FS, from, to string) error {
	in, err := src.open(ctx, from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := f.openFile(ctx, to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{out}, &ctxReader{ctx: ctx, r: in})
	return errors.Join(err, out.Close())
}
