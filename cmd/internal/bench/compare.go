package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// arrived checks that dir holds every file of the original, nothing else, with
// the same sizes and, if contents is set, the same bytes.
func arrived(original, dir string, contents bool) error {
	want, err := list(original)
	if err != nil {
		return err
	}
	got, err := list(dir)
	if err != nil {
		return err
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d files arrived of %d", len(got), len(want))
	}
	for path, size := range want {
		if have, ok := got[path]; !ok || have != size {
			return fmt.Errorf("%s: %d bytes arrived of %d", path, have, size)
		}
		if !contents {
			continue
		}
		if err := same(filepath.Join(original, path), filepath.Join(dir, path)); err != nil {
			return err
		}
	}
	return nil
}

func list(dir string) (map[string]int64, error) {
	sizes := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		sizes[rel] = info.Size()
		return err
	})
	return sizes, err
}

// same compares two files piece by piece: they may be larger than memory.
func same(a, b string) error {
	left, err := os.Open(a)
	if err != nil {
		return err
	}
	defer left.Close()
	right, err := os.Open(b)
	if err != nil {
		return err
	}
	defer right.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errX := io.ReadFull(left, x)
		m, errY := io.ReadFull(right, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("%s differs from the original", b)
		}
		if errX != nil || errY != nil {
			return ended(errX, errY)
		}
	}
}

// ended leaves out the errors that only say that a file has ended.
func ended(errs ...error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
	return nil
}
