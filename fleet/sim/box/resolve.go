package box

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

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

// RealPath resolves all links in name; every component but the last must exist.
func (f *FS) RealPath(name string) (string, error) {
	rel, err := f.walk(name, true)
	if err != nil {
		return "", pathError("realpath", name, err)
	}
	return path.Join("/", rel), nil
}
