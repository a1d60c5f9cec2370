package box

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

func cmdCp(c *cmd) int {
	f, names, ok := c.parse("rRapdfvPLTnu", "recursive=r", "archive=a", "preserve=p", "force=f", "no-clobber=n")
	if !ok {
		return 1
	}
	return c.into(f, names, func(from, to string) error {
		if f.on("n") {
			if _, err := c.fs.Lstat(to); err == nil {
				return nil
			}
		}
		return c.cp(from, to, f, 0)
	})
}

// into calls fn for each source with its target: cp and mv name them alike.
func (c *cmd) into(f flags, names []string, fn func(from, to string) error) int {
	if len(names) < 2 {
		return c.failf("missing operand")
	}
	dest := names[len(names)-1]
	fi, err := c.fs.Stat(c.path(dest))
	isDir := err == nil && fi.IsDir() && !f.on("T")
	if len(names) > 2 && !isDir {
		return c.failf("target '%s' is not a directory", dest)
	}
	status := 0
	for _, name := range names[:len(names)-1] {
		to := c.path(dest)
		if isDir {
			to = path.Join(to, path.Base(name))
		}
		if err := fn(c.path(name), to); err != nil {
			c.fail(name, err)
			status = 1
		}
	}
	return status
}

func (c *cmd) cp(from, to string, f flags, depth int) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	recursive := f.on("r") || f.on("R") || f.on("a")
	keepLinks := !f.on("L") && (f.on("a") || f.on("P") || f.on("d") || recursive && depth > 0)
	fi, err := c.fs.stat(from, !keepLinks)
	if err != nil {
		return err
	}
	switch mode := fi.Mode(); {
	case mode.IsDir() && !recursive:
		return errors.New("-r not specified; omitting directory")
	case mode.IsDir():
		if to == from || strings.HasPrefix(to, strings.TrimSuffix(from, "/")+"/") {
			return errors.New("cannot copy a directory into itself")
		}
		err = c.cpDir(from, to, f, depth)
	case mode&fs.ModeSymlink != 0:
		target, err := c.fs.Readlink(from)
		if err != nil {
			return err
		}
		_ = c.fs.Remove(to) // if there was nothing, nothing is in the way
		return c.fs.Symlink(target, to)
	default:
		if old, statErr := c.fs.Stat(to); statErr == nil && mode.IsRegular() && sysOf(old).ino != 0 && sysOf(old) == sysOf(fi) {
			return fmt.Errorf("'%s' and '%s' are the same file", from, to)
		}
		err = c.fs.copyFile(c.ctx, c.fs, from, to)
	}
	if err != nil || !(fi.Mode().IsRegular() || fi.IsDir()) {
		return err
	}
	if err := c.fs.Chmod(to, fi.Mode()&^fs.ModeType); err != nil {
		return err
	}
	if f.on("p") || f.on("a") {
		return c.fs.Chtimes(to, fi.ModTime(), fi.ModTime())
	}
	return nil
}

func (c *cmd) cpDir(from, to string, f flags, depth int) error {
	if err := c.fs.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := c.fs.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.cp(path.Join(from, e.Name()), path.Join(to, e.Name()), f, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func cmdMv(c *cmd) int {
	f, names, ok := c.parse("fvnT", "force=f", "no-clobber=n", "no-target-directory=T")
	if !ok {
		return 1
	}
	return c.into(f, names, func(from, to string) error {
		if f.on("n") {
			if _, err := c.fs.Lstat(to); err == nil {
				return nil
			}
		}
		return c.fs.Rename(from, to)
	})
}
