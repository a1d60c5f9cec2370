//go:build unix

package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var kinds = []string{"gnu", "nozstd", "busybox", "notar", "nohash", "bare", "sftp"}

// fillVM makes a folder "work" with one of everything.
func fillVM(t *testing.T, vm *testVM) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	long := strings.Repeat("n", 255)
	for name, content := range map[string]string{
		"empty": "", "one": "1", "small.txt": "hello\n", "block": random(512), "page": random(4096),
		"mid": random(300_000), "big": random(11<<20 + 17), "-rf": "dash", "sp ace": "s", "quo'te\"s$(x)`y`": "q",
		"new\nline": "nl", "back\\slash": "b", "tab\there": "t", "bad\xff\xfeutf8": "u", "*": "star", "ünï": "ü",
		"\r": "cr", " lead": "l", "trail ": "t", long: "long", ".hidden": "h", "#hash": "#",
		"a/b/c/d/e/f/g/h/deep": "deep", "-dash/-x": "d", "nl\ndir/in": "in", "a/" + strings.Repeat("d", 200) + "/" + strings.Repeat("e", 200): "x",
	} {
		vm.write(t, "work/"+name, content)
	}
	for i := range 300 {
		vm.write(t, fmt.Sprintf("work/many/%03d", i), strings.Repeat(fmt.Sprint(i), i))
	}
	check(t, os.Mkdir(vm.file("work/emptydir"), 0o755))
	check(t, os.Symlink("small.txt", vm.file("work/link")))
	check(t, os.Symlink("../one", vm.file("work/a/up")))
	check(t, os.Symlink("nowhere", vm.file("work/dangling")))
	check(t, os.Link(vm.file("work/page"), vm.file("work/a/hard")))
	check(t, os.Chmod(vm.file("work/one"), 0o751))
	check(t, os.Chmod(vm.file("work/empty"), 0o400))
	check(t, unix.Chmod(vm.file("work/small.txt"), 0o6755))
	check(t, unix.Mkfifo(vm.file("work/fifo"), 0o644))
	at := time.Date(2019, 3, 4, 5, 6, 7, 123456789, time.UTC)
	check(t, os.Chtimes(vm.file("work/mid"), at, at))
	check(t, os.Chtimes(vm.file("work/emptydir"), at, at))
	sparse, err := os.Create(vm.file("work/sparse"))
	check(t, err)
	_, err = sparse.WriteAt([]byte("end"), 9<<20)
	check(t, err)
	check(t, sparse.Truncate(10<<20))
	check(t, sparse.Close())
}

// sameTree compares what was pulled with what is on the VM.
func sameTree(t *testing.T, want, got string, coarse bool) {
	t.Helper()
	seen := map[string]bool{}
	check(t, filepath.WalkDir(want, func(name string, _ fs.DirEntry, err error) error {
		check(t, err)
		rel, _ := filepath.Rel(want, name)
		seen[rel] = true
		fi, err := os.Lstat(name)
		check(t, err)
		if fi.Mode()&fs.ModeNamedPipe != 0 {
			return nil
		}
		mine, err := os.Lstat(filepath.Join(got, rel))
		if err != nil {
			t.Errorf("%q is missing", rel)
			return nil
		}
		if mine.Mode().Type() != fi.Mode().Type() {
			t.Errorf("%q has type %v", rel, mine.Mode())
			return nil
		}
		sameMeta(t, rel, fi, mine, coarse)
		switch {
		case fi.Mode().IsRegular():
			a, err := os.ReadFile(name)
			check(t, err)
			b, err := os.ReadFile(filepath.Join(got, rel))
			check(t, err)
			if !bytes.Equal(a, b) {
				t.Errorf("%q differs (%d and %d bytes)", rel, len(a), len(b))
			}
		case fi.Mode()&fs.ModeSymlink != 0:
			a, _ := os.Readlink(name)
			b, _ := os.Readlink(filepath.Join(got, rel))
			if a != b {
				t.Errorf("link %q leads to %q", rel, b)
			}
		}
		return nil
	}))
	check(t, filepath.WalkDir(got, func(name string, _ fs.DirEntry, err error) error {
		check(t, err)
		if rel, _ := filepath.Rel(got, name); !seen[rel] {
			t.Errorf("%q should not be here", rel)
		}
		return nil
	}))
}

func sameMeta(t *testing.T, rel string, want, got fs.FileInfo, coarse bool) {
	t.Helper()
	if want.Mode()&fs.ModeSymlink != 0 {
		return
	}
	if got.Mode() != want.Mode().Type()|want.Mode().Perm() {
		t.Errorf("%q has mode %v, not %v", rel, got.Mode(), want.Mode().Perm())
	}
	a, b := want.ModTime(), got.ModTime()
	if coarse {
		a, b = a.Truncate(time.Second), b.Truncate(time.Second)
	}
	if !a.Equal(b) {
		t.Errorf("%q has time %v, not %v", rel, b, a)
	}
}

func TestPullEverything(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, kind)
			fillVM(t, vm)
			dest := filepath.Join(t.TempDir(), "dest")
			o := PullOptions{Paths: []string{"work"}, Dest: dest, KeepManifest: true}
			sum, err := pullTest(t, vm.remote(), o)
			check(t, err)
			if sum.Failed != 0 || sum.Special != 1 || !sum.Complete {
				t.Errorf("summary: failed %d special %d complete %v", sum.Failed, sum.Special, sum.Complete)
			}
			sameTree(t, vm.file("work"), filepath.Join(dest, "work"), kind == "sftp")
			if kind != "sftp" {
				hardLinked(t, filepath.Join(dest, "work", "page"), filepath.Join(dest, "work", "a", "hard"))
			}
			if left, _ := filepath.Glob(dest + "/.vers*"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			before := vm.moved.Load()
			again, err := pullTest(t, vm.remote(), o)
			check(t, err)
			if again.Files != 0 || again.Moved != 0 || again.Links != 0 || again.Unchanged < sum.Files {
				t.Errorf("second run: files %d moved %d links %d unchanged %d", again.Files, again.Moved, again.Links, again.Unchanged)
			}
			if n := vm.moved.Load() - before; kind != "sftp" && n > 200_000 {
				t.Errorf("second run sent %d bytes", n)
			}
		})
	}
}

func hardLinked(t *testing.T, a, b string) {
	t.Helper()
	fa, err := os.Stat(a)
	check(t, err)
	fb, err := os.Stat(b)
	check(t, err)
	if !os.SameFile(fa, fb) {
		t.Errorf("%s and %s are not one file", a, b)
	}
}

func TestPullMissing(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "sftp"} {
		vm := newVM(t, kind)
		_, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"nope"}, Dest: t.TempDir()})
		var pe *PathError
		if !errors.As(err, &pe) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: error is %v", kind, err)
		}
	}
}
