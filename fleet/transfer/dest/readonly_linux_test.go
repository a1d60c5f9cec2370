package dest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRemoveReadOnly removes from a folder that its owner, who is not root, may
// not write into, and looks into one that he may not read.
func TestRemoveReadOnly(t *testing.T) {
	d, dir := border(t, Options{})
	folder := filepath.Join(dir, "folder")
	check(t, os.Mkdir(filepath.Join(dir, "shut"), 0))
	check(t, os.Chmod(folder, 0o555))
	if os.Geteuid() == 0 {
		const nobody = 65534
		for _, name := range []string{filepath.Dir(dir), dir, folder, filepath.Join(dir, "shut")} {
			check(t, os.Chown(name, nobody, nobody))
		}
		runtime.LockOSThread() // it ends with this test
		check(t, unix.Setfsuid(nobody))
		defer func() { _ = unix.Setfsuid(0) }()
		if _, err := os.ReadDir(filepath.Join(dir, "shut")); err == nil {
			t.Skip("this user may read everything")
		}
	}
	check(t, d.Remove("folder/in"))
	check(t, d.Remove("folder"))
	check(t, d.Unlock("shut"))
	entries, err := d.ReadDir("shut")
	if err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
