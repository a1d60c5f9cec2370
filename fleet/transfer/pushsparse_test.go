//go:build unix

package transfer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// sparseFile makes a file with holes before, between and after what is in
// it.
func sparseFile(t *testing.T, name string, size int64) {
	t.Helper()
	f, err := os.Create(name)
	check(t, err)
	for _, off := range []int64{10_000_000, 10_400_000, 23_456_789, 35_000_000} {
		_, err := f.WriteAt(randomBytes(uint64(off), 70_000), off)
		check(t, err)
	}
	check(t, f.Truncate(size))
	check(t, f.Close())
	fi, err := os.Stat(name)
	check(t, err)
	if blocksOf(fi)*512 > 2<<20 {
		t.Skip("no holes on this file system")
	}
}

// sameHoley compares two large files, and holds the second to few blocks.
func sameHoley(t *testing.T, want, got string) {
	t.Helper()
	a, err := hashFile(want)
	check(t, err)
	b, err := hashFile(got)
	check(t, err)
	if a != b {
		t.Error("the contents differ")
	}
	fi, err := os.Stat(got)
	check(t, err)
	if blocksOf(fi)*512 > 4<<20 {
		t.Errorf("it takes %d bytes there", blocksOf(fi)*512)
	}
}

func TestPushKeepsHoles(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "nozstd", "nohash", "sftp"} {
		for _, size := range []int64{40_000_000, 35_070_000} {
			vm := newVM(t, kind)
			src := filepath.Join(t.TempDir(), "disk.img")
			sparseFile(t, src, size)
			sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src}, Dest: "in/"})
			check(t, err)
			if sum.Failed != 0 || sum.Files != 1 || sum.Moved > 4<<20 {
				t.Errorf("%s: %d moved, %+v", kind, sum.Moved, sum)
			}
			sameHoley(t, src, vm.file("in/disk.img"))
		}
	}
}

// TestPushSmallWithHoles: a file of holes alone, too small for ranges otherwise.
func TestPushSmallWithHoles(t *testing.T) {
	vm := newVM(t, "gnu")
	src := filepath.Join(t.TempDir(), "hole")
	check(t, os.WriteFile(src, nil, 0o644))
	check(t, os.Truncate(src, 3_000_001))
	sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src}, Dest: "in/"})
	check(t, err)
	if sum.Moved > 1<<20 {
		t.Errorf("%d moved", sum.Moved)
	}
	sameHoley(t, src, vm.file("in/hole"))
}

// TestPushHolesAreProved: what lies on the VM where there are holes here is not taken
// for them, and the VM's word for the ranges is no proof of the rest.
func TestPushHolesAreProved(t *testing.T) {
	vm := newVM(t, "gnu")
	src := filepath.Join(t.TempDir(), "disk.img")
	sparseFile(t, src, 40_000_000)
	o := PushOptions{Sources: []string{src}, Dest: "in/"}
	vm.takes = 100_000 // an interrupted push leaves a beginning
	if _, err := pushTest(t, vm.remote(), o); err == nil {
		t.Fatal("a cut went unnoticed")
	}
	vm.takes = 0
	left, err := filepath.Glob(vm.file("in/.vers-fleet-partial-*/l/*"))
	check(t, err)
	if len(left) != 1 {
		t.Skipf("nothing was left: %q", left)
	}
	f, err := os.OpenFile(left[0], os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{7}, 1000), 1_000_000)
	check(t, err)
	check(t, f.Close())
	sum, err := pushTest(t, vm.remote(), o)
	check(t, err)
	if sum.Failed != 0 || sum.Files != 1 {
		t.Errorf("%+v", sum)
	}
	sameHoley(t, src, vm.file("in/disk.img"))
}
