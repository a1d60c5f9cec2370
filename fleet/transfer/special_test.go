//go:build unix

package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// failed are the names that failed, and why.
func failed(sum Summary) (all []string) {
	for _, f := range sum.Failures {
		all = append(all, f.Path+": "+f.Reason)
	}
	slices.Sort(all)
	return all
}

// What is no file, folder or symlink is told when it was asked for by name, and
// passed over in a folder.
func TestSpecialFilesThatAreNamed(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "sftp"} {
		vm := newVM(t, kind)
		vm.write(t, "d/x", "x")
		check(t, unix.Mkfifo(vm.file("d/pipe"), 0o644))
		sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"d/pipe", "d", "/dev/null"}, Dest: t.TempDir()})
		check(t, err)
		want := []string{"null: " + notOrdinary, "pipe: " + notOrdinary}
		if got := failed(sum); !slices.Equal(got, want) || sum.Files != 1 || sum.Special != 1 {
			t.Errorf("%s: pulled %d, %d special, failed %q", kind, sum.Files, sum.Special, got)
		}
		here := t.TempDir()
		check(t, unix.Mkfifo(filepath.Join(here, "pipe"), 0o644))
		check(t, os.WriteFile(filepath.Join(here, "x"), []byte("x"), 0o644))
		sum, err = pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/pipe", here, "/dev/null"}, Dest: "in/"})
		check(t, err)
		if got := failed(sum); !slices.Equal(got, want) || sum.Files != 1 || sum.Special != 1 {
			t.Errorf("%s: pushed %d, %d special, failed %q", kind, sum.Files, sum.Special, got)
		}
		if left, _ := filepath.Glob(vm.file("in/.vers*")); len(left) > 0 {
			t.Errorf("%s: left behind: %q", kind, left)
		}
	}
}

// A FIFO, a device and a socket are replaced at neither end: a lieutenant reads its
// orders from a FIFO, and a machine without /dev/null is broken.
func TestSpecialFilesAreNotReplaced(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "notar", "bare", "sftp"} {
		vm := newVM(t, kind)
		for _, name := range []string{"file", "link", "first", "second"} {
			vm.write(t, "w/"+name, "of the VM: "+name)
		}
		check(t, os.Remove(vm.file("w/link")))
		check(t, os.Symlink("file", vm.file("w/link")))
		check(t, os.Remove(vm.file("w/second")))
		check(t, os.Link(vm.file("w/first"), vm.file("w/second")))
		there, here := vm.file("in/w"), filepath.Join(t.TempDir(), "in/w")
		names := []string{"file", "link", "second"}
		for _, dir := range []string{there, here} {
			check(t, os.MkdirAll(dir, 0o755))
			for _, name := range names {
				check(t, unix.Mkfifo(filepath.Join(dir, name), 0o644))
			}
		}
		pulled, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"w"}, Dest: filepath.Dir(here)})
		check(t, err)
		pushed, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{vm.file("w")}, Dest: "in/"})
		check(t, err)
		for what, sum := range map[string]Summary{"pull": pulled, "push": pushed} {
			// Where the second name of a file comes first there is none to link to.
			if sum.Failed < 3 || sum.Failed > 4 || !strings.HasPrefix(failed(sum)[0], "w/file: ") {
				t.Errorf("%s: %s: %q", kind, what, failed(sum))
			}
		}
		for _, dir := range []string{there, here} {
			for _, name := range names {
				if fi, err := os.Lstat(filepath.Join(dir, name)); err != nil || fi.Mode().Type() != os.ModeNamedPipe {
					t.Errorf("%s: %s/%s: %v, %v", kind, dir, name, fi.Mode(), err)
				}
			}
		}
	}
}

// A file that became a FIFO after it was found is not waited for.
func TestPushOfAFileThatBecameAFIFO(t *testing.T) {
	vm := newVM(t, "gnu")
	src := sources(t, map[string]string{"small": "x", "other": "y", "large": string(randomBytes(1, largePush+1))})
	o := PushOptions{Sources: []string{src}, Dest: "in/", Events: whenPlanned(func() {
		for _, name := range []string{"small", "large"} {
			check(t, os.Remove(filepath.Join(src, name)))
			check(t, unix.Mkfifo(filepath.Join(src, name), 0o644))
		}
	})}
	sum, err := pushTest(t, vm.remote(), o)
	check(t, err)
	if sum.Files != 1 || sum.Failed != 2 {
		t.Errorf("%d files, %q", sum.Files, failed(sum))
	}
}

// A VM that says without end what kind of file it has fills no memory here.
func TestCatFromAVMThatDoesNotEnd(t *testing.T) {
	vm := newVM(t, "gnu")
	vm.write(t, "x", "content")
	vm.noSFTP = true
	var taken atomic.Int64
	vm.edit = func(_ string, out io.Writer) io.Writer {
		return &rewriter{w: out, say: func(w io.Writer, _ []byte) error {
			for taken.Load() < 100<<20 {
				n, err := w.Write(bytes.Repeat([]byte("F"), 4096))
				if taken.Add(int64(n)); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20e9)
	defer cancel()
	err := Cat(ctx, vm, "x", io.Discard, func(int64, int64) {})
	var bad session.BadAnswer
	if !errors.As(err, &bad) || taken.Load() > 4<<20 {
		t.Errorf("%v, %d bytes were taken", err, taken.Load())
	}
}
