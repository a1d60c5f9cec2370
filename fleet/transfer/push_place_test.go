//go:build unix

package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
)

// sources makes files here: names with their content, folders end with a slash.
func sources(t *testing.T, files map[string]string) string {
	t.Helper()
	top := filepath.Join(t.TempDir(), "src")
	for name, content := range files {
		at := filepath.Join(top, name)
		if strings.HasSuffix(name, "/") {
			check(t, os.MkdirAll(at, 0o755))
			continue
		}
		check(t, os.MkdirAll(filepath.Dir(at), 0o755))
		check(t, os.WriteFile(at, []byte(content), 0o644))
	}
	return top
}

func reads(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v", name, got, err)
	}
}

// TestPushOntoWhatIsThere pushes to a VM that has things of the same names.
func TestPushOntoWhatIsThere(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "notar"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, kind)
			vm.write(t, "in/plain", "old")
			vm.write(t, "in/there/kept", "kept")
			vm.write(t, "in/folder/kept", "kept")
			vm.write(t, "elsewhere/kept", "kept")
			check(t, os.Symlink("../elsewhere", vm.file("in/linked")))           // a folder of the source
			check(t, os.Symlink("../../elsewhere", vm.file("in/there/replace"))) // a file of the source
			check(t, unix.Chmod(vm.file("in/there"), 0o2775))
			src := sources(t, map[string]string{
				"plain": "new", "there/x": "x", "there/deep/er/y": "y", "folder": "a file", "linked/a": "a", "linked/sub/b": "b",
				"there/replace": "r", "new/z": "z", "new/empty/": "",
			})
			sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src + "/"}, Dest: "in"})
			check(t, err)
			for name, want := range map[string]string{
				"in/plain": "new", "in/there/x": "x", "in/there/kept": "kept", "in/there/deep/er/y": "y", "in/folder/kept": "kept",
				"elsewhere/a": "a", "elsewhere/sub/b": "b", "elsewhere/kept": "kept", "in/there/replace": "r", "in/new/z": "z",
			} {
				reads(t, vm.file(name), want)
			}
			if sum.Failed != 1 || sum.Failures[0].Path != "folder" || sum.Failures[0].Kind != FailRefused {
				t.Errorf("failures: %+v", sum.Failures)
			}
			if fi, err := os.Lstat(vm.file("in/there/replace")); err != nil || !fi.Mode().IsRegular() {
				t.Errorf("what was a symlink is %v, %v", fi, err)
			}
			if fi, err := os.Lstat(vm.file("in/linked")); err != nil || fi.Mode()&os.ModeSymlink == 0 {
				t.Errorf("the symlink to a folder is %v, %v", fi, err)
			}
			if fi, err := os.Stat(vm.file("in/there")); err != nil || fi.Mode().Perm() != 0o755 || (kind == "gnu" && fi.Mode()&os.ModeSetgid == 0) {
				t.Errorf("the folder that was there has mode %v, %v", fi.Mode(), err)
			}
			if fi, err := os.Stat(vm.file("in/new/empty")); err != nil || fi.Mode().Perm() != 0o755 {
				t.Errorf("the empty folder: %v, %v", fi, err)
			}
		})
	}
}

// whenPlanned changes something between the plan and the sending.
func whenPlanned(change func()) func(Event) {
	return func(e Event) {
		if e.Kind == EventPlanned {
			change()
		}
	}
}

// TestPushWhileThingsChange: what changes here or there meanwhile costs only
// itself.
func TestPushWhileThingsChange(t *testing.T) {
	files := map[string]string{"new/a": "a", "new/b": "b", "new/sub/c": "c", "top": "top"}
	for name, c := range map[string]struct {
		change func(t *testing.T, src string, vm *testVM)
		fails  string
		kind   FailKind
	}{
		"a file goes": {func(t *testing.T, src string, _ *testVM) { check(t, os.Remove(filepath.Join(src, "new/b"))) }, "new/b", FailLocal},
		"a file grows": {func(t *testing.T, src string, _ *testVM) {
			check(t, os.WriteFile(filepath.Join(src, "new/b"), []byte("longer"), 0o644))
		}, "new/b", FailChanging},
		"a file shrinks": {func(t *testing.T, src string, _ *testVM) { check(t, os.Truncate(filepath.Join(src, "new/b"), 0)) }, "new/b", FailChanging},
		"a file is only touched": {func(t *testing.T, src string, _ *testVM) {
			check(t, os.Chtimes(filepath.Join(src, "new/b"), time.Now(), time.Now().Add(time.Hour)))
		}, "", ""},
		"the folder is made there":       {func(t *testing.T, _ string, vm *testVM) { vm.write(t, "in/new/other", "other") }, "", ""},
		"a folder comes in a file's way": {func(t *testing.T, _ string, vm *testVM) { vm.write(t, "in/new/a/other", "other") }, "new/a", FailRefused},
		"a file comes in a folder's way": {func(t *testing.T, _ string, vm *testVM) { vm.write(t, "in/new/sub", "file") }, "new/sub/c", FailRemote},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, "gnu")
			src := sources(t, files)
			sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src + "/"}, Dest: "in",
				Events: whenPlanned(func() { c.change(t, src, vm) })})
			check(t, err)
			if (c.fails == "") != (sum.Failed == 0) || (c.fails != "" && (sum.Failures[0].Path != c.fails || sum.Failures[0].Kind != c.kind)) {
				t.Errorf("failures: %+v", sum.Failures)
			}
			for f, content := range files {
				if f != c.fails {
					reads(t, vm.file("in/"+f), content)
				}
			}
			_, err = pushTest(t, vm.remote(), PushOptions{Sources: []string{sources(t, map[string]string{"last": "l"}) + "/"}, Dest: "in"})
			check(t, err)
		})
	}
}

// TestPushLargeFileChanges: a large file that changes while it is sent is never
// put in place.
func TestPushLargeFileChanges(t *testing.T) {
	vm := newVM(t, "gnu")
	src := sources(t, map[string]string{"big": strings.Repeat("0123456789abcdef", largePush/8), "ok": "ok"})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		f, err := os.OpenFile(filepath.Join(src, "big"), os.O_RDWR, 0)
		for i := int64(0); err == nil; i++ {
			select {
			case <-stop:
				_ = f.Close()
				return
			default:
				_, err = f.WriteAt(fmt.Append(nil, i), i%100*4096)
			}
		}
	}()
	sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src + "/"}, Dest: "in"})
	close(stop)
	<-stopped
	check(t, err)
	if _, err := os.Lstat(vm.file("in/big")); err == nil || sum.Failed != 1 || sum.Failures[0].Kind != FailChanging {
		t.Errorf("%v, failures %+v", err, sum.Failures)
	}
	reads(t, vm.file("in/ok"), "ok")
}

// logging is a PATH whose tools note each start in a file.
func logging(t *testing.T, vm *testVM) (log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	dir := t.TempDir()
	for _, name := range strings.Fields("sh xargs find stat tar zstd openssl sha256sum head dd cat tr mv mkdir rm touch chmod ln") {
		at, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		script := fmt.Sprintf("#!/bin/sh\necho %s >>%s\nexec %s \"$@\"\n", name, log, at)
		check(t, executable.Write(filepath.Join(dir, name), strings.NewReader(script)))
	}
	vm.path = dir
	return log
}

// TestPushCosts bounds what a push costs the VM: three sessions, and processes
// that do not become more with the files.
func TestPushCosts(t *testing.T) {
	const perFolder = 100
	count := func(files int, again bool) (sessions int64, processes int) {
		vm := newVM(t, "gnu")
		log := logging(t, vm)
		tree := map[string]string{}
		for i := range files {
			tree[fmt.Sprintf("d%02d/f%04d", i/perFolder, i)] = fmt.Sprint(i)
		}
		src := sources(t, tree)
		o := PushOptions{Sources: []string{src}, Dest: "in/"}
		if again { // every folder is there, every file is new
			for name := range tree {
				vm.write(t, "in/src/"+name, "old")
			}
		}
		sum, err := pushTest(t, vm.remote(), o)
		check(t, err)
		if sum.Files != int64(files) || sum.Failed != 0 || sum.Verified != "sha256" {
			t.Errorf("%+v", sum)
		}
		text, err := os.ReadFile(log)
		check(t, err)
		return vm.execs.Load(), strings.Count(string(text), "\n")
	}
	few, fewCost := count(200, false)
	many, manyCost := count(2000, false)
	if few != 3 || many != 3 {
		t.Errorf("%d sessions for 200 files, %d for 2,000; 3 are promised", few, many)
	}
	if manyCost > fewCost+2000/500 || manyCost > 50 {
		t.Errorf("%d processes for 200 files, %d for 2,000", fewCost, manyCost)
	}
	folders, cost := count(2000, true)
	if folders != 3 || cost > manyCost+3*(2000/perFolder+1) {
		t.Errorf("%d sessions and %d processes for 2,000 files in %d folders that are there", folders, cost, 2000/perFolder)
	}
	t.Logf("processes: %d for 200 files, %d for 2,000, %d for 2,000 in folders that are there", fewCost, manyCost, cost)
}

// TestPushWithoutHardLinks: where the VM makes none they become files.
func TestPushWithoutHardLinks(t *testing.T) {
	vm := newVM(t, "gnu")
	dir := toolbox(t)
	at, err := os.Readlink(filepath.Join(dir, "tar"))
	check(t, err)
	check(t, os.Remove(filepath.Join(dir, "tar")))
	script := "#!/bin/sh\ncase \"$*\" in *-v*|*version*) ;; *) [ ! -f h ] || exit 2;; esac\nexec " + at + " \"$@\"\n"
	check(t, executable.Write(filepath.Join(dir, "tar"), strings.NewReader(script)))
	vm.path = dir
	src := sources(t, map[string]string{"a/one": "content", "b/": ""})
	check(t, os.Link(filepath.Join(src, "a/one"), filepath.Join(src, "b/two")))
	sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{src}, Dest: "in/"})
	check(t, err)
	reads(t, vm.file("in/src/a/one"), "content")
	reads(t, vm.file("in/src/b/two"), "content")
	if sum.Failed != 0 || sum.Files != 2 {
		t.Errorf("%+v", sum)
	}
}

// fillFar makes small and large files, enough for several connections at a
// distance.
func fillFar(t *testing.T) string {
	t.Helper()
	tree := map[string]string{"large": string(randomBytes(1, 3*largePush+5)), "large2": string(randomBytes(2, largePush))}
	for i := range 900 {
		tree[fmt.Sprintf("d%d/f%03d", i%9, i)] = string(randomBytes(uint64(i), 500+i*30))
	}
	src := sources(t, tree)
	holes, err := os.Create(filepath.Join(src, "holes"))
	check(t, err)
	_, err = holes.WriteAt([]byte("middle"), 60<<20)
	check(t, err)
	check(t, holes.Truncate(130<<20))
	check(t, holes.Close())
	// So much that further connections pay.
	check(t, os.WriteFile(filepath.Join(src, "large"), bytes.Repeat(randomBytes(1, 1<<20), 130), 0o644))
	return src
}

// closing counts the connections that were closed.
type closing struct {
	*testVM
	closed func()
}

func (c *closing) Close() error { c.closed(); return nil }

var _ io.Closer = (*closing)(nil)

// TestPushFar pushes to a VM that looks far away: over several connections, some
// of which drop or cannot be had. What is deleted is what is not here.
func TestPushFar(t *testing.T) {
	src := fillFar(t)
	for name, c := range map[string]struct {
		dial func(n int, vm *testVM) (*testVM, error)
	}{
		"all well":        {func(_ int, vm *testVM) (*testVM, error) { return vm, nil }},
		"none can be had": {func(int, *testVM) (*testVM, error) { return nil, errors.New("too many logins") }},
		"they drop": {func(_ int, vm *testVM) (*testVM, error) {
			weak := &testVM{home: vm.home, shell: vm.shell, path: vm.path, takes: 1 << 20}
			weak.budget.Store(-1)
			return weak, nil
		}},
		"they run nothing": {func(_ int, vm *testVM) (*testVM, error) {
			weak := &testVM{home: vm.home, shell: vm.shell, path: vm.path, noExec: true}
			weak.budget.Store(-1)
			return weak, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, "gnu")
			vm.write(t, "in/src/d1/gone/x", "x")
			vm.far = 100 * time.Millisecond // and so much to send that connections pay
			dialled, closed := make(chan bool, 100), make(chan bool, 100)
			r := vm.remote()
			r.Dial = func(context.Context) (Conn, error) {
				other, err := c.dial(len(dialled), vm)
				if err != nil {
					return nil, err
				}
				dialled <- true
				return &closing{other, func() { closed <- true }}, nil
			}
			sum, err := pushTest(t, r, PushOptions{Sources: []string{src}, Dest: "in/", MaxConns: 4, Delete: true})
			check(t, err)
			if sum.Failed != 0 || sum.Deleted != 2 || sum.Verified != "sha256" {
				t.Errorf("%+v", sum)
			}
			sameTree(t, src, vm.file("in/src"), false)
			if len(dialled) > 3 || (len(dialled) == 0 && name != "none can be had") || len(dialled) != len(closed) {
				t.Errorf("%d connections dialled, %d closed", len(dialled), len(closed))
			}
			if left, _ := filepath.Glob(vm.file("in/.vers*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestKilledPushesOverOld kills pushes over an older state, far away too: what
// bears its final name is old or new, whole.
func TestKilledPushesOverOld(t *testing.T) {
	rounds := 2
	if torture() {
		rounds = 50
	}
	here := newVM(t, "gnu")
	fillResume(t, here)
	for i := range rounds {
		vm := newVM(t, "gnu")
		check(t, os.CopyFS(vm.file("in/work"), os.DirFS(here.file("work"))))
		old := map[string]string{}
		check(t, filepath.Walk(vm.file("in/work"), func(name string, fi os.FileInfo, err error) error {
			check(t, err)
			if !fi.IsDir() && len(old)%2 == 0 {
				check(t, os.WriteFile(name, []byte("old "+name), 0o644))
			}
			text, _ := os.ReadFile(name)
			old[name] = string(text)
			return nil
		}))
		child := exec.Command(os.Args[0], "-test.run=^TestPushChild$")
		child.Env = append(os.Environ(), pushChildEnv+"="+vm.home+"\n"+here.file("work"))
		child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		check(t, child.Start())
		time.AfterFunc(time.Duration(100+(i*97)%600)*time.Millisecond, func() { _ = syscall.Kill(-child.Process.Pid, syscall.SIGKILL) })
		_ = child.Wait()
		for name, was := range old {
			if was == "" {
				continue
			}
			rel, _ := filepath.Rel(vm.file("in"), name)
			want, _ := os.ReadFile(here.file(rel))
			if got, err := os.ReadFile(name); err != nil || (string(got) != was && string(got) != string(want)) {
				t.Fatalf("%s is neither old nor new: %d bytes, %v", rel, len(got), err)
			}
		}
		_, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here.file("work")}, Dest: "in"})
		check(t, err)
		sameTree(t, here.file("work"), vm.file("in/work"), false)
	}
}
