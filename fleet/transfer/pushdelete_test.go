//go:build unix

package transfer

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// strangersOnVM fills in/ on a VM with what is not in the sources of TestPushDelete.
// outside is a folder that nothing may be deleted from.
func strangersOnVM(t *testing.T, vm *testVM) (outside string, doomed []string) {
	t.Helper()
	outside = vm.write(t, "outside/precious", "x")
	for _, name := range []string{"in/keep", "in/d/a", "in/skip.log", "in/old/deep/skip.log", "in/old/deep/x", "in/.vers-fleet-partial-other/t/x"} {
		vm.write(t, name, "on the VM")
	}
	doomed = []string{"old/deep/x"}
	for _, name := range []string{
		"$(touch pwned)", "`touch pwned`", "; touch pwned", "-rf", "--", "new\nline", `back\slash`, "a b", "*", "~", "d/old", "d/gone/deeper/y", "g", "locked/z",
	} {
		vm.write(t, "in/"+name, "on the VM")
		doomed = append(doomed, name)
	}
	check(t, os.Symlink("../outside", vm.file("in/link")))
	check(t, os.Symlink("../../outside", vm.file("in/d/link")))
	check(t, os.MkdirAll(vm.file("in/empty"), 0o755))
	check(t, os.Chmod(vm.file("in/locked"), 0o555))
	check(t, os.Chmod(vm.file("in/old/deep"), 0o750))
	check(t, os.Chtimes(vm.file("in/old/deep"), time.Unix(1e9, 0), time.Unix(1e9, 0)))
	doomed = append(doomed, "link", "d/link", "empty", "locked", "d/gone", "d/gone/deeper")
	slices.Sort(doomed)
	return outside, doomed
}

func TestPushDelete(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "notar", "bare", "sftp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, kind)
			outside, doomed := strangersOnVM(t, vm)
			src := sources(t, map[string]string{"keep": "here", "d/a": "here", "big.log": "not sent"})
			check(t, os.Chtimes(filepath.Join(src, "d"), time.Unix(2e9/2, 0), time.Unix(2e9/2, 0)))
			vm.write(t, "in/big.log", "of the VM")
			before := tree(t, vm.home)
			o := PushOptions{Sources: []string{src + "/"}, Dest: "in", Delete: true, DryRun: true, Exclude: []string{"*.log"}}
			sum, err := pushTest(t, vm.remote(), o)
			check(t, err)
			if got := slices.Sorted(slices.Values(sum.Deletions)); !slices.Equal(got, doomed) || sum.Deleted != int64(len(doomed)) {
				t.Errorf("a dry run would delete %d: %q\nwant %q", sum.Deleted, got, doomed)
			}
			if after := tree(t, vm.home); !slices.Equal(before, after) {
				t.Errorf("a dry run changed: %q", after)
			}
			o.DryRun = false
			sum, err = pushTest(t, vm.remote(), o)
			check(t, err)
			if got := slices.Sorted(slices.Values(sum.Deletions)); !slices.Equal(got, doomed) || sum.Deleted != int64(len(doomed)) || sum.Failed != 0 {
				t.Errorf("deleted %d: %q\nwant %q", sum.Deleted, got, doomed)
			}
			want := []string{".vers-fleet-partial-other/", ".vers-fleet-partial-other/t/", ".vers-fleet-partial-other/t/x", "big.log", "d/", "d/a", "keep", "old/", "old/deep/", "old/deep/skip.log", "skip.log"}
			if got := tree(t, vm.file("in")); !slices.Equal(got, want) {
				t.Errorf("on the VM: %q", got)
			}
			reads(t, outside, "x")
			reads(t, vm.file("in/keep"), "here")
			if _, err := os.Lstat(vm.file("pwned")); err == nil {
				t.Error("a name was run")
			}
			for name, at := range map[string]time.Time{"in/old/deep": time.Unix(1e9, 0), "in/d": time.Unix(2e9/2, 0)} {
				if fi, err := os.Stat(vm.file(name)); err != nil || !fi.ModTime().Equal(at) {
					t.Errorf("%s: %v, %v", name, fi.ModTime(), err)
				}
			}
			if fi, err := os.Stat(vm.file("in/old/deep")); err != nil || fi.Mode().Perm() != 0o750 {
				t.Errorf("mode of a folder that stays: %v, %v", fi.Mode(), err)
			}
		})
	}
}

// TestPushDeleteStaysInItsFolder: a source without a trailing slash is a folder of
// its own, and what lies beside it is none of this push's business.
func TestPushDeleteStaysInItsFolder(t *testing.T) {
	for _, kind := range []string{"gnu", "sftp"} {
		vm := newVM(t, kind)
		for _, name := range []string{"in/other", "in/src2/x", "in/src/old", "in/src/one"} {
			vm.write(t, name, "x")
		}
		src := sources(t, map[string]string{"one": "1"})
		file := filepath.Join(t.TempDir(), "file")
		check(t, os.WriteFile(file, []byte("x"), 0o644))
		sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src, file}, Dest: "in", Delete: true})
		check(t, err)
		if got := strings.Join(tree(t, vm.file("in")), " "); got != "file other src/ src/one src2/ src2/x" || sum.Deleted != 1 {
			t.Errorf("%s: %s, %d deleted", kind, got, sum.Deleted)
		}
	}
}

func TestPushDeleteIsRefused(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "sftp"} {
		vm := newVM(t, kind)
		vm.write(t, "in/src/old", "x")
		vm.write(t, "real/old", "x")
		check(t, os.Symlink("../real", vm.file("in/linked")))
		src := sources(t, map[string]string{"one": "1"})
		linked := filepath.Join(filepath.Dir(src), "linked")
		check(t, os.Rename(src, linked))
		check(t, os.MkdirAll(src, 0o755))
		before := tree(t, vm.home)
		for _, c := range []struct{ src, dest string }{
			{src + "/", "in/src"}, {src, "in"}, // empty
			{filepath.Join(linked, "one"), "in/"}, // no folder
			{linked + "/", "."}, {linked + "/", "~"}, {linked + "/", "in/.."}, {linked + "/", vm.home}, {linked + "/", filepath.Dir(vm.home)}, {linked + "/", "/"},
			{linked, "in"}, // a symlink there
		} {
			for _, dry := range []bool{true, false} {
				_, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{c.src}, Dest: c.dest, Delete: true, DryRun: dry})
				var refused *DeletionError
				if !errors.As(err, &refused) {
					t.Errorf("%s: push %s to %s: %v", kind, c.src, c.dest, err)
				}
			}
		}
		if after := tree(t, vm.home); !slices.Equal(before, after) {
			t.Errorf("%s: changed: %q", kind, after)
		}
	}
}

// TestPushDeleteNothingAfterFailures: what could not be sent may be what the old is
// still needed for.
func TestPushDeleteNothingAfterFailures(t *testing.T) {
	for _, kind := range []string{"gnu", "sftp"} {
		for _, dry := range []bool{true, false} {
			vm := newVM(t, kind)
			vm.write(t, "in/one/in the way", "x")
			vm.write(t, "in/old", "x")
			src := sources(t, map[string]string{"one": "1", "two": "2"})
			sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src + "/"}, Dest: "in", Delete: true, DryRun: dry})
			check(t, err)
			reads(t, vm.file("in/old"), "x")
			reads(t, vm.file("in/one/in the way"), "x")
			if sum.Failed != 1 || sum.Deleted != 0 {
				t.Errorf("%s: %+v", kind, sum)
			}
		}
	}
}

// deleting is a VM where something happens before the deletion.
type deleting struct {
	*testVM
	before func() error
}

func (d *deleting) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	if cmd == pushDeleteCmd {
		if err := d.before(); err != nil {
			return err
		}
	}
	return d.testVM.Exec(ctx, cmd, stdin, stdout, stderr)
}

// TestPushDeleteFollowsNoLink: a folder becomes a symlink after it was listed.
func TestPushDeleteFollowsNoLink(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox"} {
		vm := newVM(t, kind)
		vm.write(t, "in/d/old", "x")
		vm.write(t, "in/d/e/old", "x")
		vm.write(t, "outside/old", "precious")
		vm.write(t, "outside/e/old", "precious")
		src := sources(t, map[string]string{"one": "1"})
		d := &deleting{vm, func() error {
			return errors.Join(os.RemoveAll(vm.file("in/d")), os.Symlink("../outside", vm.file("in/d")))
		}}
		sum, err := pushTest(t, Remote{Conn: d}, PushOptions{Sources: []string{src + "/"}, Dest: "in", Delete: true})
		check(t, err)
		reads(t, vm.file("outside/old"), "precious")
		reads(t, vm.file("outside/e/old"), "precious")
		if sum.Deleted != 0 || sum.Failed != 4 {
			t.Errorf("%s: %+v", kind, sum)
		}
	}
}

// TestPushDeleteAfterADrop goes on over another connection, and counts once.
func TestPushDeleteAfterADrop(t *testing.T) {
	vm := newVM(t, "gnu")
	for _, name := range []string{"in/old", "in/d/old"} {
		vm.write(t, name, "x")
	}
	src := sources(t, map[string]string{"one": "1"})
	var drops atomic.Int32
	d := &deleting{vm, func() error {
		if drops.Add(1) < 3 {
			return errCut
		}
		return nil
	}}
	r := Remote{Conn: d, Redial: func(context.Context) (Conn, error) { return d, nil }}
	sum, err := pushTest(t, r, PushOptions{Sources: []string{src + "/"}, Dest: "in", Delete: true})
	check(t, err)
	if got := tree(t, vm.file("in")); !slices.Equal(got, []string{"one"}) || sum.Deleted != 3 || sum.Failed != 0 || sum.Files != 1 || drops.Load() != 3 {
		t.Errorf("%q, %+v", got, sum)
	}
}
