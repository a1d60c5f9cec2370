package transfer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mounted puts a small file system of its own at a folder of the VM.
func mounted(t *testing.T, at string) {
	t.Helper()
	check(t, os.MkdirAll(at, 0o755))
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// readOnly makes a folder one that nobody can write to.
func readOnly(t *testing.T, at string) {
	t.Helper()
	check(t, unix.Mount(at, at, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	check(t, unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
}

// asNobody has a VM's commands run by somebody who is not root.
func asNobody(t *testing.T, vm *testVM) {
	t.Helper()
	vm.shell = append([]string{need(t, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"}, vm.shell...)
	for dir := vm.home; dir != filepath.Dir(os.TempDir()) && len(dir) > 1; dir = filepath.Dir(dir) {
		check(t, os.Chmod(dir, 0o755))
	}
}

// Where a VM cannot write, it is said that it is the VM that cannot, and why; what
// was there stays, and what could be put in place is.
func TestPushSaysWhyTheVMCannotWrite(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "notar", "bare", "sftp"} {
		for name, c := range map[string]struct {
			make func(t *testing.T, vm *testVM)
			big  bool
			want error
			not  []string // what does not arrive
		}{
			"full": {func(*testing.T, *testVM) {}, true, ErrVMFull, []string{"a", "d2/b", "locked/x"}},
			"read-only": {func(t *testing.T, vm *testVM) { readOnly(t, vm.file("in")) }, false, ErrVMReadOnly,
				[]string{"a", "d2/b", "locked/x"}},
			"read-only in one folder": {func(t *testing.T, vm *testVM) { readOnly(t, vm.file("in/src/locked")) }, false, ErrVMReadOnly,
				[]string{"locked/x"}},
			"not permitted": {asNobody, false, ErrVMDenied, []string{"a", "d2/b", "locked/x"}},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				if kind == "sftp" && name == "not permitted" || kind == "busybox" && name == "not permitted" {
					t.Skip("the tools of this VM run as this process")
				}
				vm := newVM(t, kind)
				mounted(t, vm.file("in"))
				vm.write(t, "in/src/a", "what was there")
				check(t, os.Mkdir(vm.file("in/src/locked"), 0o755))
				files := map[string]string{"a": "new", "d2/b": "b", "locked/x": "x"}
				if c.big {
					files["big"] = string(bytes.Repeat([]byte("x"), 9<<20))
				}
				src := sources(t, files)
				c.make(t, vm)
				sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src}, Dest: "in/"})
				why := []error{err}
				for _, f := range sum.Failures {
					why = append(why, f.Err)
					if strings.ContainsAny(f.Reason, "\n\x1b") {
						t.Errorf("%q", f.Reason)
					}
				}
				if !slices.ContainsFunc(why, func(err error) bool { return errors.Is(err, c.want) }) {
					t.Errorf("%v, %+v", err, sum.Failures)
				}
				if kind == "sftp" { // file by file, so that more may be in place
					return
				}
				for name := range files {
					got, _ := os.ReadFile(vm.file("in/src/" + name))
					switch arrived := string(got) == files[name]; {
					case arrived == slices.Contains(append(c.not, "big"), name):
						t.Errorf("%s arrived: %v", name, arrived)
					case name == "a" && !arrived && string(got) != "what was there":
						t.Errorf("a is %q", got)
					}
				}
			})
		}
	}
}
