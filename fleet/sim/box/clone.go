package box

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
)

// Clone copies all plain files, folders and links of another VM, except its
// devices and what is there already.
func (f *FS) Clone(src *FS) error { return f.cloneDir(src, "/") }

func (f *FS) cloneDir(src *FS, dir string) error {
	entries, err := src.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if name == "/dev" {
			continue
		}
		fi, err := src.Entry(name, e)
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
		target, err := src.Readlink(name)
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
	in, err := src.Open(ctx, from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := f.OpenFile(ctx, to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{out}, &ctxReader{ctx: ctx, r: in})
	return errors.Join(err, out.Close())
}
