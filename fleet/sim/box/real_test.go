//go:build unix

package box

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
)

// longName needs more than a plain tar header.
const longName = "deep-name-that-goes-on/deep-name-that-goes-on/deep-name-that-goes-on/deep-name-that-goes-on/deep-name-that-goes-on/file"

// fixture makes the files that the cases work on.
func fixture(t *testing.T, dir string) {
	t.Helper()
	old := time.Date(2026, 2, 24, 3, 20, 0, 123456789, time.UTC)
	files := map[string]string{
		"a.txt": "one\ntwo\nthree\n", "b c.txt": "abc", "-dash": "dash\n", "empty.txt": "", "noend": "no end", ".hidden": "h\n", "new\nline": "n\n",
		`back\slash`: "b\n", "vars": "SOURCED=7\n", "sub/deep/x": "x", "sub/t": "", longName: "long\n",
		"big.txt": strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz\n", 5000),
	}
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		check(errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)))
	}
	check(errors.Join(os.Mkdir(filepath.Join(dir, "empty"), 0o755), os.Mkdir(filepath.Join(dir, "sticky"), 0o755),
		os.Symlink("a.txt", filepath.Join(dir, "link")), os.Symlink("sub", filepath.Join(dir, "linkdir")), os.Symlink("nowhere", filepath.Join(dir, "dangling")),
		os.Link(filepath.Join(dir, "a.txt"), filepath.Join(dir, "hard")), syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644),
		executable.Write(filepath.Join(dir, "run.sh"), strings.NewReader("#!/bin/sh\necho ran $1\n")), os.Chmod(filepath.Join(dir, "sticky"), 0o1777|fs.ModeSticky)))
	check(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, old, old)
	}))
}

// tarball is an archive to extract.
func tarball() string {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	at := time.Unix(1_700_000_000, 0)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o750}, {Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o640, Size: 4},
		{Typeflag: tar.TypeReg, Name: "d/new\nline", Mode: 0o4755, Size: 4}, {Typeflag: tar.TypeSymlink, Name: "d/l", Linkname: "f"},
		{Typeflag: tar.TypeLink, Name: "d/h", Linkname: "d/f"}, {Typeflag: tar.TypeReg, Name: "d/up/../f2", Mode: 0o600, Size: 4},
		{Typeflag: tar.TypeReg, Name: "t", Mode: 0o600, Size: 4},
	} {
		h.ModTime = at
		if err := w.WriteHeader(&h); err != nil {
			return err.Error()
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, "data"); err != nil {
				return err.Error()
			}
		}
	}
	if err := w.Close(); err != nil {
		return err.Error()
	}
	return buf.String()
}

// outcome is what a command did.
type outcome struct {
	out    string
	status int
	errors bool
	stderr string
	tree   string
}

func TestCommandsAreAsTheRealOnes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("left out: the commands of a VM are those of Linux")
	}
	shared := t.TempDir()
	fixture(t, filepath.Join(shared, "w"))
	for _, c := range realCases() {
		t.Run(c.name, func(t *testing.T) {
			if c.how == asRoot && os.Geteuid() != 0 {
				t.Skip("left out: everything in a VM belongs to root")
			}
			ours, theirs := shared, shared
			if c.how == changes {
				ours, theirs = t.TempDir(), t.TempDir()
				fixture(t, filepath.Join(ours, "w"))
				fixture(t, filepath.Join(theirs, "w"))
			}
			got, want := onVM(t, ours, c), onMachine(t, theirs, c)
			if got.out != want.out || got.status != want.status || got.errors != want.errors {
				t.Errorf("%s\n     got %q, status %d, stderr %q\nreal one %q, status %d, stderr %q",
					c.command, clip(got.out), got.status, got.stderr, clip(want.out), want.status, want.stderr)
			}
			if got.tree != want.tree {
				t.Errorf("%s\nleaves\n%s\nthe real one leaves\n%s", c.command, got.tree, want.tree)
			}
		})
	}
}

func clip(text string) string { return text[:min(len(text), 2000)] }

// onVM runs a case in a VM whose folder / is dir.
func onVM(t *testing.T, dir string, c realCase) outcome {
	t.Helper()
	files, err := NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if err := errors.Join(files.Devices(), files.MkdirAll("/root", 0o700)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	m := &Machine{FS: files, Hostname: "vm"}
	status := m.run(ctx, job{command: c.command, dir: "/w", stdin: strings.NewReader(c.stdin), stdout: &out, stderr: &errOut})
	if ctx.Err() != nil {
		t.Fatalf("%s does not end", c.command)
	}
	return judge(t, dir, c, out.String(), errOut.String(), status)
}

// onMachine runs a case with the machine's own shell and tools.
func onMachine(t *testing.T, dir string, c realCase) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", c.command)
	cmd.Dir = filepath.Join(dir, "w")
	cmd.Stdin = strings.NewReader(c.stdin)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC0", "HOME=" + dir}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return judge(t, dir, c, out.String(), errOut.String(), cmd.ProcessState.ExitCode())
}

func judge(t *testing.T, dir string, c realCase, out, errOut string, status int) outcome {
	t.Helper()
	o := outcome{out: out, status: status, errors: errOut != "", stderr: errOut}
	switch c.how {
	case sorted:
		end := "\n"
		if strings.Contains(out, "\x00") {
			end = "\x00"
		}
		lines := strings.Split(out, end)
		slices.Sort(lines)
		o.out = strings.Join(lines, end)
	case archive:
		o.out = members(t, out)
	case changes:
		o.tree = snapshot(t, filepath.Join(dir, "w"))
	}
	return o
}

// members lists what is in an archive.
func members(t *testing.T, archive string) string {
	t.Helper()
	var list []string
	r := tar.NewReader(strings.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Sprintf("no archive: %v", err)
		}
		data, err := io.ReadAll(r)
		list = append(list, fmt.Sprintf("%c %q %o %d %q %x %v", h.Typeflag, h.Name, h.Mode, h.ModTime.Unix(), h.Linkname, sha256.Sum256(data), err))
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// snapshot describes the files below a folder; times only of what is old.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%q %s %d", strings.TrimPrefix(path, dir), fi.Mode(), sysOf(fi).nlink)
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			fmt.Fprintf(&b, " -> %q", target)
		case fi.Mode().IsRegular():
			data, err := os.ReadFile(path)
			fmt.Fprintf(&b, " %d %x %v", fi.Size(), sha256.Sum256(data), err)
		}
		if time.Since(fi.ModTime()) > time.Hour && fi.Mode()&fs.ModeSymlink == 0 {
			fmt.Fprintf(&b, " %s", fi.ModTime().UTC().Format(time.RFC3339Nano))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
