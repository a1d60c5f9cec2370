//go:build unix

package transfer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A symlink is not followed by what checks the files beside it: it may lead to what
// has no end.
func TestPushLinksToWhatHasNoEnd(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox"} {
		vm, here := newVM(t, kind), t.TempDir()
		check(t, os.Symlink("/dev/zero", filepath.Join(here, "zero")))
		check(t, os.WriteFile(filepath.Join(here, "file"), []byte("text"), 0o644))
		sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/"}, Dest: "in/"})
		check(t, err)
		if sum.Files != 1 || sum.Links != 1 || sum.Failed != 0 {
			t.Errorf("%s: %+v", kind, sum)
		}
	}
}

// A name of several lines is told to the VM's hash tool line by line: none of them
// is an option of it, or a file outside the partial folder. (OpenSSL's -out would
// write a file; /dev/zero has no end.)
func TestPushNamesOfManyLines(t *testing.T) {
	need(t, "openssl")
	vm, here := newVM(t, "gnu"), t.TempDir()
	written := vm.file("WRITTEN")
	for _, name := range []string{strings.Repeat("a\n", 8) + "-out\n" + written, "a\n" + os.DevNull, "a\n/dev/zero"} {
		at := filepath.Join(here, name)
		check(t, os.MkdirAll(filepath.Dir(at), 0o755))
		check(t, os.WriteFile(at, []byte(strings.Repeat(name, largePush/2/len(name))), 0o644))
	}
	sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/"}, Dest: "in/"})
	check(t, err)
	if sum.Files != 3 || sum.Failed != 0 {
		t.Errorf("%+v", sum)
	}
	sameFiles(t, here, vm.file("in"))
	if _, err := os.Lstat(written); err == nil {
		t.Error("a name was an option of the VM's hash tool")
	}
}
