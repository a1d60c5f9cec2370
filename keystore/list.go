package keystore

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// IDs lists the VMs with a folder in the store, sorted, without reading it.
func (s *Store) IDs() ([]string, error) {
	d, err := os.Open(s.path("keys"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, ioError("list keys", s.path("keys"), err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, ioError("list keys", s.path("keys"), err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !validID(n) })
	slices.Sort(names)
	return names, nil
}

// Records reads all records, sorted by id. One that cannot be used is a
// Finding and hides none of the others.
func (s *Store) Records() ([]Record, []Finding, error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, nil, err
	}
	recs, errs := make([]Record, len(ids)), make([]error, len(ids))
	sideBySide(len(ids), func(i int) { recs[i], errs[i] = s.Record(ids[i]) })
	out := make([]Record, 0, len(ids))
	var findings []Finding
	for i, err := range errs {
		switch {
		case err == nil:
			out = append(out, recs[i])
		case !IsNotFound(err): // an empty folder: somebody is just writing it
			findings = append(findings, findingOf(ids[i], err))
		}
	}
	return out, findings, nil
}

// sideBySide calls fn for 0..n-1 on a few goroutines and waits for all.
func sideBySide(n int, fn func(int)) {
	const workers = 8
	var wg sync.WaitGroup
	for w := range min(workers, n) {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				fn(i)
			}
		})
	}
	wg.Wait()
}
