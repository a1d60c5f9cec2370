//go:build unix

package transfer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// childEnv tells a child process of the test what to pull: home and dest.
const childEnv = "VERS_FLEET_TRANSFER_CHILD"

// TestPullChild is the child of TestKilledPulls and does nothing by itself.
func TestPullChild(t *testing.T) {
	vm, dest := childVM(t, childEnv)
	if _, err := Pull(t.Context(), vm.remote(), PullOptions{Paths: []string{"work"}, Dest: dest}); err != nil {
		t.Fatal(err)
	}
}

// childVM is, in a child process, the parent's VM and the folder here that an
// environment variable tells.
func childVM(t *testing.T, env string) (vm *testVM, folder string) {
	t.Helper()
	home, folder, ok := strings.Cut(os.Getenv(env), "\n")
	if !ok {
		t.Skip("only as a child process")
	}
	vm = &testVM{home: home, shell: []string{"/bin/sh"}, path: os.Getenv("PATH")}
	vm.budget.Store(-1)
	return vm, folder
}

// TestKilledPulls kills a pulling process (kill -9) at random moments. After
// each kill what is in place is right, and the next run ends well and does not
// fetch what is here.
func TestKilledPulls(t *testing.T) {
	rounds := 3
	if torture() {
		rounds = 100
	}
	vm := newVM(t, "gnu")
	fillResume(t, vm)
	rnd := rand.New(rand.NewPCG(5, 6))
	for range rounds {
		dest := t.TempDir()
		child := exec.Command(os.Args[0], "-test.run=^TestPullChild$")
		child.Env = append(os.Environ(), childEnv+"="+vm.home+"\n"+dest)
		check(t, child.Start())
		time.AfterFunc(time.Duration(50+rnd.IntN(700))*time.Millisecond, func() { _ = child.Process.Kill() })
		_ = child.Wait()
		missing := rightOrAbsent(t, vm, dest)
		have := kept(t, dest)
		sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"work"}, Dest: dest})
		check(t, err)
		if rightOrAbsent(t, vm, dest) != 0 || sum.Failed != 0 {
			t.Fatalf("not complete: %+v", sum)
		}
		need := max(0, missing-have)
		if sum.Moved > need+need/10+rangeBlock {
			t.Errorf("moved %d, missing %d, of that in the partial folder %d", sum.Moved, missing, have)
		}
	}
}

// TestManyFiles pulls a great many small files within bounded memory.
func TestManyFiles(t *testing.T) {
	dirs, each := 20, 100
	if torture() {
		dirs, each = 1000, 1000
	}
	vm := newVM(t, "gnu")
	for d := range dirs {
		dir := vm.file(fmt.Sprintf("work/d%04d", d))
		check(t, os.MkdirAll(dir, 0o755))
		for f := range each {
			check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", f)), fmt.Append(nil, d, f), 0o644))
		}
	}
	peak := watchHeap(t)
	dest := t.TempDir()
	began := time.Now()
	sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"work"}, Dest: dest})
	check(t, err)
	if want := int64(dirs * each); sum.Files != want || sum.Failed != 0 {
		t.Errorf("files %d of %d, failed %d", sum.Files, want, sum.Failed)
	}
	t.Logf("%d files in %v, heap at most %d MiB", sum.Files, time.Since(began), peak()>>20)
	if peak() > 300<<20 {
		t.Errorf("the heap grew to %d MiB", peak()>>20)
	}
}

// TestSparse pulls a file that is nearly all holes.
func TestSparse(t *testing.T) {
	size := int64(64 << 20)
	if torture() {
		size = 20 << 30
	}
	for _, kind := range []string{"gnu", "notar"} {
		if kind == "notar" && torture() {
			continue // every zero would travel through a pipe here
		}
		vm := newVM(t, kind)
		check(t, os.MkdirAll(vm.file("work"), 0o755))
		f, err := os.Create(vm.file("work/disk"))
		check(t, err)
		_, err = f.WriteAt([]byte("in the middle"), size/2)
		check(t, err)
		check(t, f.Truncate(size))
		check(t, f.Close())
		peak := watchHeap(t)
		dest := t.TempDir()
		sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"work"}, Dest: dest})
		check(t, err)
		fi, err := os.Stat(filepath.Join(dest, "work/disk"))
		check(t, err)
		allocated := fi.Sys().(*syscall.Stat_t).Blocks * 512
		if fi.Size() != size || allocated > 4<<20 || sum.Failed != 0 {
			t.Errorf("%s: size %d, on disk %d, failed %d", kind, fi.Size(), allocated, sum.Failed)
		}
		if peak() > 300<<20 {
			t.Errorf("the heap grew to %d MiB", peak()>>20)
		}
		t.Logf("%s: %d bytes sent by the VM, heap %d MiB", kind, vm.moved.Load(), peak()>>20)
	}
}

// watchHeap follows the heap until the test ends.
func watchHeap(t *testing.T) func() uint64 {
	t.Helper()
	var peak atomic.Uint64
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		for ctx.Err() == nil {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapAlloc))
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return peak.Load
}
