package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sameTree checks that every file, link and folder below want is below got,
// with the same content and mode, and counts the files.
func sameTree(want, got string) (files int, err error) {
	err = filepath.WalkDir(want, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(want, path)
		if err != nil {
			return err
		}
		n, err := sameEntry(path, filepath.Join(got, rel))
		files += n
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		return nil
	})
	return files, err
}

func sameEntry(want, got string) (files int, err error) {
	a, err := os.Lstat(want)
	if err != nil {
		return 0, err
	}
	if target, err := os.Readlink(want); err == nil && filepath.IsAbs(target) {
		return 0, nil // leads out of the tree, so a pull leaves it out
	}
	b, err := os.Lstat(got)
	if err != nil {
		return 0, err
	}
	if a.Mode().Type() != b.Mode().Type() {
		return 0, fmt.Errorf("is %s, not %s", b.Mode().Type(), a.Mode().Type())
	}
	switch {
	case a.Mode().IsDir():
		return 0, nil
	case a.Mode()&fs.ModeSymlink != 0:
		return 0, sameLink(want, got)
	case a.Mode().Perm() != b.Mode().Perm():
		return 0, fmt.Errorf("has mode %s, not %s", b.Mode().Perm(), a.Mode().Perm())
	}
	x, err := os.ReadFile(want)
	if err != nil {
		return 0, err
	}
	y, err := os.ReadFile(got)
	if err == nil && !bytes.Equal(x, y) {
		err = errors.New("the content differs")
	}
	return 1, err
}

func sameLink(want, got string) error {
	a, err := os.Readlink(want)
	if err != nil {
		return err
	}
	b, err := os.Readlink(got)
	if err == nil && a != b {
		err = fmt.Errorf("leads to %s, not %s", b, a)
	}
	return err
}
