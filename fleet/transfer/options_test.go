//go:build unix

package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
)

// tree lists what is below dir, folders with a slash.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	check(t, filepath.Walk(dir, func(name string, fi os.FileInfo, err error) error {
		rel, _ := filepath.Rel(dir, name)
		if fi != nil && fi.IsDir() {
			rel += "/"
		}
		if rel != "./" {
			names = append(names, rel)
		}
		return err
	}))
	return names
}

func TestPullFilters(t *testing.T) {
	for name, c := range map[string]struct {
		o    PullOptions
		want string
	}{
		"exclude":        {PullOptions{Exclude: []string{"*.log", "sub"}}, "a.png b.txt e/ e/c.png"},
		"include":        {PullOptions{Include: []string{"*.png"}}, "a.png e/ e/c.png"},
		"both":           {PullOptions{Include: []string{"*.png"}, Exclude: []string{"/e"}}, "a.png"},
		"negated":        {PullOptions{Exclude: []string{"*", "!b.txt"}}, "b.txt"},
		"max size":       {PullOptions{MaxSize: 4}, "a.png b.txt e/ e/c.png sub/ sub/.gitignore sub/x"},
		"newer":          {PullOptions{Newer: time.Now().Add(-time.Hour)}, "a.png b.txt e/ e/c.png sub/ sub/.gitignore sub/x"},
		"gitignore":      {PullOptions{GitIgnore: true}, "a.png b.txt big.log e/ e/c.png sub/ sub/.gitignore"},
		"no such ignore": {PullOptions{}, "a.png b.txt big.log e/ e/c.png sub/ sub/.gitignore sub/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, "gnu")
			for _, f := range []string{"a.png", "b.txt", "e/c.png", "sub/x"} {
				vm.write(t, "w/"+f, "1234")
			}
			vm.write(t, "w/sub/.gitignore", "x\n")
			big := vm.write(t, "w/big.log", "12345")
			old := time.Now().Add(-48 * time.Hour)
			check(t, os.Chtimes(big, old, old))
			c.o.Paths, c.o.Dest = []string{"w/"}, t.TempDir()
			sum, err := pullTest(t, vm.remote(), c.o)
			check(t, err)
			if got := strings.Join(tree(t, c.o.Dest), " "); got != c.want {
				t.Errorf("got %s", got)
			}
			if sum.Failed != 0 {
				t.Errorf("failed %d", sum.Failed)
			}
		})
	}
}

func TestPullLanding(t *testing.T) {
	for asked, want := range map[string]string{
		"w": "w/ w/f", "w/": "f", "w/f": "f", "~/w": "w/ w/f", "./w": "w/ w/f", "w/f/": "f",
		"ABS/w": "w/ w/f", "link": "link/ link/f", "link/": "f", "w/.": "f", "flink": "flink",
	} {
		vm := newVM(t, "gnu")
		vm.write(t, "w/f", "x")
		check(t, os.Symlink("w", vm.file("link")))
		check(t, os.Symlink("w/f", vm.file("flink")))
		o := PullOptions{Paths: []string{strings.Replace(asked, "ABS", vm.home, 1)}, Dest: t.TempDir()}
		_, err := pullTest(t, vm.remote(), o)
		check(t, err)
		if got := strings.Join(tree(t, o.Dest), " "); got != want {
			t.Errorf("%s: got %s", asked, got)
		}
	}
}

func TestPullDelete(t *testing.T) {
	vm := newVM(t, "gnu")
	vm.write(t, "w/keep", "x")
	vm.write(t, "w/d/keep", "x")
	dest := t.TempDir()
	o := PullOptions{Paths: []string{"w"}, Dest: dest, Exclude: []string{"*.mine"}}
	_, err := pullTest(t, vm.remote(), o)
	check(t, err)
	for _, name := range []string{"w/old", "w/d/old", "w/olddir/x", "w/notes.mine", "w/gone/notes.mine", "w/gone/sub/x", "beside"} {
		check(t, os.MkdirAll(filepath.Dir(filepath.Join(dest, name)), 0o755))
		check(t, os.WriteFile(filepath.Join(dest, name), nil, 0o644))
	}
	o.Delete, o.DryRun = true, true
	before := tree(t, dest)
	sum, err := pullTest(t, vm.remote(), o)
	check(t, err)
	if want := []string{"w/d/old", "w/gone/sub/x", "w/gone/sub", "w/old", "w/olddir/x", "w/olddir"}; sum.Deleted != 6 || !slices.Equal(sum.Deletions, want) {
		t.Errorf("would delete %q", sum.Deletions)
	}
	if got := tree(t, dest); !slices.Equal(got, before) {
		t.Errorf("a dry run changed something: %q", got)
	}
	o.DryRun = false
	_, err = pullTest(t, vm.remote(), o)
	check(t, err)
	if got, want := strings.Join(tree(t, dest), " "), "beside w/ w/d/ w/d/keep w/gone/ w/gone/notes.mine w/keep w/notes.mine"; got != want {
		t.Errorf("left: %s", got)
	}
}

func TestPullChecksum(t *testing.T) {
	vm := newVM(t, "gnu")
	at := vm.write(t, "w/f", "right")
	same := vm.write(t, "w/same", "same")
	o := PullOptions{Paths: []string{"w/"}, Dest: t.TempDir()}
	_, err := pullTest(t, vm.remote(), o)
	check(t, err)
	fi, err := os.Stat(at)
	check(t, err)
	mine := filepath.Join(o.Dest, "f")
	check(t, os.WriteFile(mine, []byte("wrong"), 0o644))
	check(t, os.Chtimes(mine, fi.ModTime(), fi.ModTime()))
	check(t, os.Chtimes(same, time.Now(), time.Now()))
	sum, err := pullTest(t, vm.remote(), o)
	check(t, err)
	if got, _ := os.ReadFile(mine); string(got) != "wrong" || sum.Files != 1 {
		t.Errorf("without Checksum: %q, files %d", got, sum.Files)
	}
	o.Checksum = true
	check(t, os.Chtimes(same, time.Now(), time.Now()))
	sum, err = pullTest(t, vm.remote(), o)
	check(t, err)
	if got, _ := os.ReadFile(mine); string(got) != "right" || sum.Files != 1 || sum.Unchanged != 1 || sum.Moved != 5 {
		t.Errorf("with Checksum: %q, %+v", got, sum)
	}
}

// TestPullChanging pulls a log that grows all the time, and a file in /proc.
func TestPullChanging(t *testing.T) {
	vm := newVM(t, "gnu")
	at := vm.write(t, "w/log", strings.Repeat("line\n", 400_000))
	check(t, os.Symlink("/proc/cpuinfo", vm.file("w/ignored")))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.OpenFile(at, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer func() { _ = f.Close() }()
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = fmt.Fprintln(f, "more")
			}
		}
	}()
	o := PullOptions{Paths: []string{"w/log", "/proc/filesystems"}, Dest: t.TempDir()}
	sum, err := pullTest(t, vm.remote(), o)
	close(stop)
	<-done
	check(t, err)
	if sum.Failed != 0 || sum.Files != 2 {
		t.Errorf("summary %+v", sum)
	}
	got, _ := os.ReadFile(filepath.Join(o.Dest, "log"))
	all, _ := os.ReadFile(at)
	if len(got) < 2_000_000 || !strings.HasPrefix(string(all), string(got)) {
		t.Errorf("%d bytes that are no beginning of the log", len(got))
	}
	want, _ := os.ReadFile("/proc/filesystems")
	if got, _ := os.ReadFile(filepath.Join(o.Dest, "filesystems")); string(got) != string(want) || len(got) == 0 {
		t.Errorf("/proc file: %d bytes", len(got))
	}
}

// TestPullNoisyLogin has a .bashrc that talks.
func TestPullNoisyLogin(t *testing.T) {
	vm := newVM(t, "gnu")
	noisy := filepath.Join(t.TempDir(), "sh")
	check(t, executable.Write(noisy, strings.NewReader("#!/bin/sh\necho 'Welcome to your VM!'\nprintf 'x\\0y'\nexec /bin/sh \"$@\"\n")))
	vm.shell = []string{noisy}
	fillVM(t, vm)
	o := PullOptions{Paths: []string{"work"}, Dest: t.TempDir()}
	sum, err := pullTest(t, vm.remote(), o)
	check(t, err)
	if sum.Failed != 0 {
		t.Errorf("failed %d", sum.Failed)
	}
	sameTree(t, vm.file("work"), filepath.Join(o.Dest, "work"), false)
}

func TestSpans(t *testing.T) {
	var ss byteRanges
	for _, s := range []byteRange{{10, 20}, {30, 40}, {20, 30}, {0, 5}, {4, 11}, {50, 60}, {7, 7}} {
		ss = ss.add(s)
	}
	if got := fmt.Sprint(ss); got != "[{0 40} {50 60}]" || ss.prefix() != 40 || ss.total() != 50 {
		t.Errorf("spans %s, frontier %d", got, ss.prefix())
	}
	gaps := byteRanges{{0, 300_000}}.missing(900_000, 300_000)
	var all byteRanges
	for _, g := range gaps {
		if g.off%rangeBlock != 0 || g.end > 900_000 {
			t.Errorf("gap %v", g)
		}
		all = all.add(g)
	}
	if all = all.add(byteRange{0, 300_000}); fmt.Sprint(all) != "[{0 900000}]" {
		t.Errorf("covered: %v", all)
	}
}
