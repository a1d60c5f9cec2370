//go:build unix

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// diffTest compares, and fails the test if anything was written at either end.
func diffTest(t *testing.T, vm *testVM, o PullOptions) ([]string, Summary, error) {
	t.Helper()
	before := everything(t, vm.home) + everything(t, o.Dest)
	var found []string
	sum, err := Diff(t.Context(), vm.remote(), o, func(d Difference) {
		found = append(found, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", d.State, d.Path, d.Type, d.Why)))
		if (d.State == Extra) != (d.VM == Side{}) || (d.State == Missing) != (d.Here == Side{}) {
			t.Errorf("sides of %+v", d)
		}
	})
	if after := everything(t, vm.home) + everything(t, o.Dest); after != before {
		t.Errorf("something was written:\n%s\nbefore:\n%s", after, before)
	}
	slices.Sort(found)
	return found, sum, err
}

// everything is what can be told of a folder without reading it.
func everything(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		check(t, err)
		fi, err := e.Info()
		check(t, err)
		fmt.Fprintf(&b, "%q %v %d %v\n", name, fi.Mode(), fi.Size(), fi.ModTime())
		return nil
	})
	check(t, err)
	return b.String()
}

// What was pulled whole is the same, whatever the VM has for tools and whatever
// the names; and everything is missing where nothing was pulled.
func TestDiffAfterPull(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "nohash", "sftp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, kind)
			fillVM(t, vm)
			o := PullOptions{Paths: []string{"work"}, Dest: filepath.Join(t.TempDir(), "dest")}
			found, sum, err := diffTest(t, vm, o)
			check(t, err)
			if i := slices.IndexFunc(found, func(s string) bool { return !strings.HasPrefix(s, "missing ") }); i >= 0 || len(found) < 330 || sum.Unchanged != 0 {
				t.Errorf("of nothing: %d found, %d the same", len(found), sum.Unchanged)
			}
			pulled, err := pullTest(t, vm.remote(), o)
			check(t, err)
			for _, checksum := range []bool{false, true} {
				o.Checksum = checksum
				if found, sum, err = diffTest(t, vm, o); err != nil || len(found) > 0 {
					t.Errorf("checksum %t: %q, %v", checksum, found, err)
				}
				hashable := !checksum || (kind != "nohash" && kind != "sftp")
				if hashable == (sum.Failed > 0) || hashable && sum.Unchanged < pulled.Files {
					t.Errorf("checksum %t: %d failed, %d the same of %d", checksum, sum.Failed, sum.Unchanged, pulled.Files)
				}
			}
		})
	}
}

// differing makes a VM and a copy of it that differ in every way.
func differing(t *testing.T, vm *testVM, here string) {
	t.Helper()
	for _, name := range []string{"same", "touched", "grown", "edited", "tofolder", "tolink", "sub/gone", "deep/under/f"} {
		vm.write(t, "w/"+name, "content")
	}
	check(t, os.Symlink("same", vm.file("w/link")))
	check(t, os.Mkdir(vm.file("w/empty"), 0o755))
	check(t, os.Mkdir(vm.file("w/tofile"), 0o755))
	check(t, os.Link(vm.file("w/same"), vm.file("w/same2")))
	_, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"w/"}, Dest: here})
	check(t, err)
	mine := func(name string) string { return filepath.Join(here, name) }
	write := func(name, content string) {
		check(t, os.RemoveAll(mine(name)))
		check(t, os.WriteFile(mine(name), []byte(content), 0o644))
	}
	fi, err := os.Stat(mine("edited"))
	check(t, err)
	write("edited", "CONTENT")
	check(t, os.Chtimes(mine("edited"), fi.ModTime(), fi.ModTime()))
	check(t, os.Chtimes(mine("touched"), time.Now(), time.Now().Add(time.Hour)))
	write("grown", "more content")
	for _, name := range []string{"tofolder", "tolink", "link", "empty", "tofile", "sub/gone", "deep", "same2"} {
		check(t, os.RemoveAll(mine(name)))
	}
	check(t, os.Mkdir(mine("tofolder"), 0o755))
	write("tofolder/mine", "")
	check(t, os.Symlink("same", mine("tolink")))
	check(t, os.Symlink("elsewhere", mine("link")))
	write("tofile", "")
	write("deep", "a file where the VM has a folder")
	write("same2", "content")
	check(t, os.Chtimes(mine("same2"), fi.ModTime(), fi.ModTime()))
	at, err := os.Stat(vm.file("w/same"))
	check(t, err)
	check(t, os.Chtimes(mine("same2"), at.ModTime(), at.ModTime()))
	write("bad\xffname\n", "")
	check(t, os.Mkdir(mine("old"), 0o755))
}

func TestDiffFindsEachWay(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "sftp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm, here := newVM(t, kind), t.TempDir()
			differing(t, vm, here)
			want := []string{
				"changed deep dir type", "changed grown file size", "changed link symlink target", "changed tofile dir type",
				"changed tofolder file type", "changed tolink file type", "changed touched file time",
				"extra bad\xffname\n file", "extra old dir", "extra tofolder/mine file",
				"missing deep/under dir", "missing deep/under/f file", "missing empty dir", "missing sub/gone file",
			}
			o := PullOptions{Paths: []string{"w/"}, Dest: here}
			found, sum, err := diffTest(t, vm, o)
			check(t, err)
			if !slices.Equal(found, want) || sum.Failed != 0 {
				t.Errorf("found %q, failed %d: %v", found, sum.Failed, sum.Failures)
			}
			if kind == "sftp" {
				return
			}
			o.Checksum = true // what was only touched is the same, and what was edited behind our back is not
			want[slices.Index(want, "changed touched file time")] = "changed edited file content"
			slices.Sort(want)
			if found, _, err = diffTest(t, vm, o); err != nil || !slices.Equal(found, want) {
				t.Errorf("by content: %q, %v", found, err)
			}
		})
	}
}

// What is not asked about is none of the copy's business.
func TestDiffHeedsFilters(t *testing.T) {
	vm, here := newVM(t, "gnu"), t.TempDir()
	vm.write(t, "w/a.log", "x")
	vm.write(t, "w/a.txt", "x")
	check(t, os.WriteFile(filepath.Join(here, "b.log"), nil, 0o644))
	found, _, err := diffTest(t, vm, PullOptions{Paths: []string{"w/"}, Dest: here, Exclude: []string{"*.log"}})
	if want := []string{"missing a.txt file"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%q, %v", found, err)
	}
}

// A path that is gone from the VM, and a listing that is not whole, are no
// "the same", and no reason to call anything extra.
func TestDiffOfWhatCannotBeSeen(t *testing.T) {
	vm, here := newVM(t, "gnu"), t.TempDir()
	vm.write(t, "w/f", "x")
	_, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"w"}, Dest: here})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(here, "w", "mine"), nil, 0o644))
	var missing *PathError
	if found, _, err := diffTest(t, vm, PullOptions{Paths: []string{"nowhere"}, Dest: here}); !errors.As(err, &missing) || len(found) > 0 {
		t.Errorf("%q, %v", found, err)
	}
	found, sum, err := diffTest(t, vm, PullOptions{Paths: []string{"w", "nowhere"}, Dest: here})
	if err != nil || len(found) > 0 || sum.Failed != 1 || sum.Complete {
		t.Errorf("%q, %d failed, %v", found, sum.Failed, err)
	}
}

// A drop while contents are compared is survived, and found in no difference.
func TestDiffSurvivesDrops(t *testing.T) {
	vm := newVM(t, "gnu")
	for i := range 600 {
		vm.write(t, fmt.Sprintf("w/%03d", i), strings.Repeat("x", i))
	}
	o := PullOptions{Paths: []string{"w"}, Dest: t.TempDir(), Checksum: true}
	_, err := pullTest(t, vm.remote(), o)
	check(t, err)
	began := vm.moved.Load()
	if found, _, err := diffTest(t, vm, o); err != nil || len(found) > 0 {
		t.Fatalf("%q, %v", found, err)
	}
	r := vm.remote()
	r.Dial = func(context.Context) (Conn, error) { vm.heal(); return vm, nil }
	vm.budget.Store(vm.moved.Load() - began - 2000) // into the hashes
	sum, err := Diff(t.Context(), r, o, func(d Difference) { t.Errorf("%+v", d) })
	if err != nil || sum.Failed != 0 || sum.Unchanged != 600 {
		t.Errorf("%d the same, %d failed, %v", sum.Unchanged, sum.Failed, err)
	}
	if vm.cuts.Load() == 0 {
		t.Error("nothing was cut")
	}
}
