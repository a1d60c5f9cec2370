//go:build unix

package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// fillUp gives a file as many further names as its file system allows, but for some.
func fillUp(t *testing.T, file string, spare int) {
	t.Helper()
	dir := t.TempDir()
	name := func(i int) string { return filepath.Join(dir, fmt.Sprint(i)) }
	for i := range 70_000 { // ext4 allows 65,000
		err := os.Link(file, name(i))
		if errors.Is(err, unix.EMLINK) {
			for j := range spare {
				check(t, os.Remove(name(i-1-j)))
			}
			return
		}
		check(t, err)
	}
	t.Skip("the file system of the temporary folder allows any number of names")
}

// sameFile tells whether two names are of one file.
func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	fa, err := os.Lstat(a)
	check(t, err)
	fb, err := os.Lstat(b)
	check(t, err)
	return os.SameFile(fa, fb)
}

// A file that has as many names as the file system here allows is copied, and
// further names are of the copy.
func TestMoreNamesThanTheFileSystemAllows(t *testing.T) {
	vm := newVM(t, "gnu")
	vm.write(t, "work/a", "one file")
	for _, name := range []string{"b", "c", "d"} {
		check(t, os.Link(vm.file("work/a"), vm.file("work/"+name)))
	}
	dest := t.TempDir()
	o := PullOptions{Paths: []string{"work"}, Dest: dest, KeepManifest: true}
	sum, err := pullTest(t, vm.remote(), o)
	check(t, err)
	var first string
	var others []string
	for _, e := range sum.Manifest {
		switch at := filepath.Join(dest, e.Path); e.Type {
		case TypeFile:
			first = at
		case TypeHardlink:
			others = append(others, at)
			check(t, os.Remove(at))
		}
	}
	fillUp(t, first, 1)
	for run, want := range []Summary{{Links: 2, Files: 1, Copied: 1, Unchanged: 1}, {Unchanged: 4}} {
		sum, err := pullTest(t, vm.remote(), o)
		check(t, err)
		if sum.Files != want.Files || sum.Links != want.Links || sum.Copied != want.Copied || sum.Unchanged != want.Unchanged || sum.Failed > 0 || sum.Moved > 0 || len(sum.Manifest) != 5 {
			t.Errorf("run %d: %+v", run, sum)
		}
	}
	sameTree(t, vm.file("work"), filepath.Join(dest, "work"), false)
	copies := 0
	for _, at := range others {
		if !sameFile(t, first, at) {
			copies++
		}
	}
	if copies != 2 || len(others) != 3 {
		t.Errorf("%d of %d names are of the copy", copies, len(others))
	}
}
