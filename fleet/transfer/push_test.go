//go:build unix

package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
)

func pushTest(t *testing.T, r Remote, o PushOptions) (Summary, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	sum, err := Push(ctx, r, o)
	for _, f := range sum.Failures {
		t.Logf("failure: %q (%s): %s", f.Path, f.Kind, f.Reason)
	}
	return sum, err
}

// TestPushEverything pushes what one VM has to another.
func TestPushEverything(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "nohash", "notar", "nozstd", "nodd", "bare", "sftp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			here := newVM(t, "gnu")
			fillVM(t, here)
			vm := newVM(t, kind)
			o := PushOptions{Sources: []string{here.file("work")}, Dest: "in/side"}
			sum, err := pushTest(t, vm.remote(), o)
			check(t, err)
			if sum.Failed != 0 || sum.Special != 1 {
				t.Errorf("summary: %+v", sum)
			}
			if kind == "sftp" { // the test's SFTP server makes targets of links absolute
				sameFiles(t, here.file("work"), vm.file("in/side/work"))
			} else {
				sameTree(t, here.file("work"), vm.file("in/side/work"), kind == "busybox")
			}
			a, err := os.Stat(vm.file("in/side/work/page"))
			check(t, err)
			if b, err := os.Stat(vm.file("in/side/work/a/hard")); err != nil || !os.SameFile(a, b) {
				t.Errorf("two names of a file are two files: %v", err)
			}
			if left, _ := filepath.Glob(vm.file("in/side/.vers*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			again, err := pushTest(t, vm.remote(), o)
			check(t, err)
			if again.Files != 0 || again.Moved != 0 {
				t.Errorf("second push: files %d, moved %d", again.Files, again.Moved)
			}
		})
	}
}

// sameFiles compares contents and permissions of regular files and links.
func sameFiles(t *testing.T, want, got string) {
	t.Helper()
	check(t, filepath.Walk(want, func(name string, fi os.FileInfo, err error) error {
		check(t, err)
		rel, _ := filepath.Rel(want, name)
		mine, err := os.Lstat(filepath.Join(got, rel))
		switch {
		case fi.Mode()&os.ModeNamedPipe != 0:
			return nil
		case err != nil:
			t.Errorf("%q is missing", rel)
			return nil
		case mine.Mode().Type() != fi.Mode().Type():
			t.Errorf("%q has another type", rel)
		case fi.IsDir() && rel != ".":
			if mine.Mode() != fi.Mode() || mine.ModTime().Unix() != fi.ModTime().Unix() {
				t.Errorf("folder %q has mode %v time %v", rel, mine.Mode(), mine.ModTime())
			}
		case fi.Mode().IsRegular():
			a, _ := os.ReadFile(name)
			b, _ := os.ReadFile(filepath.Join(got, rel))
			if string(a) != string(b) {
				t.Errorf("%q differs", rel)
			}
			if mine.Mode().Perm() != fi.Mode().Perm() || mine.ModTime().Unix() != fi.ModTime().Unix() {
				t.Errorf("%q has mode %v time %v", rel, mine.Mode(), mine.ModTime())
			}
		}
		return nil
	}))
}

func TestPushOneFile(t *testing.T) {
	for dest, lands := range map[string]string{
		"new.txt":  "new.txt",       // names the file
		"new/":     "new/a b.txt",   // names a folder
		"there":    "there/a b.txt", // a folder that is there
		"~/home.x": "home.x",        // below the login folder
		"x\ny":     "x\ny",          // odd names are names
		"$(id)":    "$(id)",         // and never run
		"there/q":  "there/q",       //
		"-rf":      "-rf",           //
		"there/.":  "there/a b.txt", //
		"'; id; '": "'; id; '",      //
	} {
		vm := newVM(t, "gnu")
		check(t, os.Mkdir(vm.file("there"), 0o755))
		src := filepath.Join(t.TempDir(), "a b.txt")
		check(t, os.WriteFile(src, []byte("content"), 0o640))
		_, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src}, Dest: dest})
		check(t, err)
		if got, err := os.ReadFile(vm.file(lands)); err != nil || string(got) != "content" {
			t.Errorf("push to %q: %q, %v", dest, got, err)
		}
	}
}

// TestPushFolderWithOneFile: what is pushed decides whether DEST is a folder, not
// how much there is of it.
func TestPushFolderWithOneFile(t *testing.T) {
	for _, kind := range []string{"gnu", "sftp"} {
		for _, src := range []string{"one/", "one"} {
			vm := newVM(t, kind)
			here := t.TempDir()
			check(t, os.Mkdir(filepath.Join(here, "one"), 0o755))
			check(t, os.WriteFile(filepath.Join(here, "one/f"), []byte("x"), 0o644))
			_, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{filepath.Join(here, "one") + strings.TrimPrefix(src, "one")}, Dest: "new"})
			check(t, err)
			want := "f"
			if src == "one" {
				want = "one/ one/f"
			}
			if got := strings.Join(tree(t, vm.file("new")), " "); got != want {
				t.Errorf("%s, push %s: %s", kind, src, got)
			}
		}
	}
}

// TestPushResumes cuts a push in a large file; the next one sends the rest.
func TestPushResumes(t *testing.T) {
	vm := newVM(t, "gnu")
	src := filepath.Join(t.TempDir(), "large")
	check(t, os.WriteFile(src, randomBytes(1, 30<<20), 0o644))
	o := PushOptions{Sources: []string{src}, Dest: "in/"}
	vm.takes = 12 << 20
	if _, err := pushTest(t, vm.remote(), o); err == nil {
		t.Fatal("a cut went unnoticed")
	}
	if _, err := os.Stat(vm.file("in/large")); err == nil {
		t.Fatal("an unfinished file has its final name")
	}
	vm.takes = 0
	sum, err := pushTest(t, vm.remote(), o)
	check(t, err)
	if sum.Moved > 22<<20 {
		t.Errorf("moved %d again", sum.Moved)
	}
	sameFiles(t, filepath.Dir(src), vm.file("in"))
}

// TestPushReadOnly pushes to a VM whose folder cannot be written.
func TestPushReadOnly(t *testing.T) {
	vm := newVM(t, "gnu")
	vm.write(t, "file", "not a folder")
	src := filepath.Join(t.TempDir(), "x")
	check(t, os.WriteFile(src, []byte("x"), 0o644))
	r := vm.remote()
	r.Redial = func(context.Context) (Conn, error) {
		t.Error("an answer was taken for a dropped connection")
		return vm, nil
	}
	_, err := pushTest(t, r, PushOptions{Sources: []string{src}, Dest: "file/below/"})
	if !isAnswer(err) {
		t.Errorf("error %v", err)
	}
	_, err = pushTest(t, r, PushOptions{Sources: []string{src}, Dest: "file/"})
	if !isAnswer(err) {
		t.Errorf("error %v", err)
	}
}

// TestPushFullDisk pushes to a VM that cannot take as much: it is told in the
// VM's words, what was there stays, and what came of it is taken away again.
func TestPushFullDisk(t *testing.T) {
	for _, size := range []int{largePush + 1, 300_000} {
		vm := newVM(t, "gnu")
		small := filepath.Join(t.TempDir(), "sh")
		check(t, executable.Write(small, strings.NewReader("#!/bin/sh\ntrap '' XFSZ\nulimit -f 200\nexec /bin/sh \"$@\"\n")))
		vm.shell = []string{small}
		vm.write(t, "in/data", "old")
		src := filepath.Join(t.TempDir(), "data")
		check(t, os.WriteFile(src, randomBytes(1, size), 0o644))
		_, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src}, Dest: "in/"})
		if !isAnswer(err) || !errors.Is(err, ErrVMFull) {
			t.Errorf("%d bytes: error %v", size, err)
		}
		if got := tree(t, vm.file("in")); !slices.Equal(got, []string{"data"}) {
			t.Errorf("%d bytes: left on the VM: %q", size, got)
		}
		if got, _ := os.ReadFile(vm.file("in/data")); string(got) != "old" {
			t.Errorf("%d bytes: what was there is changed", size)
		}
	}
}

func TestShellLine(t *testing.T) {
	if got, want := shellLine("a\n"), `\0141\0012`+"\n"; got != want {
		t.Errorf("shellLine: %q", got)
	}
	args := make([]string, 3000)
	for i := range args {
		args[i] = fmt.Sprintf("%0100d", i)
	}
	n := 0
	for _, b := range batches(args, 3) {
		if len(b)%3 != 0 || len(b) == 0 {
			t.Fatalf("a batch of %d", len(b))
		}
		n += len(b)
	}
	if n != len(args) {
		t.Errorf("%d of %d", n, len(args))
	}
}
