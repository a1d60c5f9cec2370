//go:build unix

package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

// torture tells whether the full counts are asked for.
func torture() bool { return os.Getenv("VERS_FLEET_TORTURE") == "1" }

func randomBytes(seed uint64, n int) []byte {
	rnd := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	_, _ = rnd.Read(b)
	return b
}

// fillResume makes files small and large, returns the sum of their sizes.
func fillResume(t *testing.T, vm *testVM) int64 {
	t.Helper()
	var total int64
	put := func(name string, n int) {
		vm.write(t, "work/"+name, string(randomBytes(uint64(total+1), n)))
		total += int64(n)
	}
	for i := range 200 {
		put(fmt.Sprintf("d%d/f%03d", i%7, i), 1000+i*57)
	}
	put("large1", 14<<20+5)
	put("large2", 9<<20)
	return total
}

// rightOrAbsent checks that every final name has the VM's content, and returns
// the bytes that are still missing.
func rightOrAbsent(t *testing.T, vm *testVM, dest string) (missing int64) {
	t.Helper()
	check(t, filepath.WalkDir(vm.file("work"), func(name string, e fs.DirEntry, err error) error {
		check(t, err)
		if e.IsDir() {
			return nil
		}
		want, err := os.ReadFile(name)
		check(t, err)
		rel, _ := filepath.Rel(vm.home, name)
		got, err := os.ReadFile(filepath.Join(dest, rel))
		if err != nil {
			missing += int64(len(want))
		} else if sha256.Sum256(got) != sha256.Sum256(want) {
			t.Fatalf("%s is there and wrong", rel)
		}
		return nil
	}))
	return missing
}

// kept is how many bytes of content lie in the partial folder.
func kept(t *testing.T, dest string) (n int64) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dest, partialPrefix+"*", "f-*"))
	for _, name := range names {
		if strings.HasSuffix(name, ".x") {
			continue
		}
		fi, err := os.Stat(name)
		check(t, err)
		f, err := os.Open(name + ".x")
		if err != nil {
			n += fi.Size()
			continue
		}
		var size, mtime, dev, ino int64
		if _, err := fmt.Fscanf(f, "v1 %d %d %d %d\n", &size, &mtime, &dev, &ino); err != nil {
			_ = f.Close() // killed before the head was written: nothing of it counts
			continue
		}
		it := listing.Item{Size: size, Mtime: mtime, Dev: uint64(dev), Ino: uint64(ino)}
		_, _ = f.Seek(0, 0)
		ss, _ := readJournal(f, &it)
		n += ss.total()
		_ = f.Close()
	}
	return n
}

// TestResumeAfterCuts cuts the connection for good at a random byte: what is in
// place must be right, and the next run must not fetch again what is here.
func TestResumeAfterCuts(t *testing.T) {
	rounds := 4
	if torture() {
		rounds = 200
	}
	vm := newVM(t, "gnu")
	total := fillResume(t, vm)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range rounds {
		dest := t.TempDir()
		o := PullOptions{Paths: []string{"work"}, Dest: dest}
		vm.budget.Store(50_000 + rnd.Int64N(total))
		if _, err := pullTest(t, vm.remote(), o); err == nil && vm.cuts.Load() == int64(i+1) {
			t.Fatal("a cut went unnoticed")
		}
		vm.heal()
		missing := rightOrAbsent(t, vm, dest)
		sum, err := pullTest(t, vm.remote(), o)
		check(t, err)
		if rightOrAbsent(t, vm, dest) != 0 || sum.Failed != 0 {
			t.Fatalf("not complete after the second run: %+v", sum)
		}
		// Chunks on their way when the cut came may be lost: a journal line
		// is written per MiB.
		if lost := sum.Moved - missing; lost > 0 {
			t.Fatalf("the second run moved %d bytes, %d were missing", sum.Moved, missing)
		}
	}
}

// TestRedialWithinRun cuts again and again; the run goes on by itself.
func TestRedialWithinRun(t *testing.T) {
	vm := newVM(t, "gnu")
	total := fillResume(t, vm)
	dest := t.TempDir()
	vm.budget.Store(2 << 20)
	r := vm.remote()
	r.Redial = func(context.Context) (Conn, error) {
		vm.heal()
		vm.budget.Store(5 << 20)
		return vm, nil
	}
	sum, err := pullTest(t, r, PullOptions{Paths: []string{"work"}, Dest: dest})
	check(t, err)
	if rightOrAbsent(t, vm, dest) != 0 || vm.cuts.Load() < 3 {
		t.Errorf("cuts %d, summary %+v", vm.cuts.Load(), sum)
	}
	if sum.Moved > total+total/4 {
		t.Errorf("moved %d of %d", sum.Moved, total)
	}
}

// TestResumeKeepsPartial checks the figure of the promise: at most 1.1 times
// what is neither in place nor in the partial folder.
func TestResumeKeepsPartial(t *testing.T) {
	vm := newVM(t, "gnu")
	vm.write(t, "work/large", string(randomBytes(9, 40<<20)))
	dest := t.TempDir()
	o := PullOptions{Paths: []string{"work"}, Dest: dest, MaxConns: 1}
	vm.budget.Store(25 << 20)
	_, err := pullTest(t, vm.remote(), o)
	if err == nil {
		t.Fatal("no error after a cut")
	}
	vm.heal()
	have := kept(t, dest)
	if have < 20<<20 {
		t.Fatalf("only %d bytes were kept", have)
	}
	sum, err := pullTest(t, vm.remote(), o)
	check(t, err)
	if missing := 40<<20 - have; sum.Moved > missing+missing/10 {
		t.Errorf("moved %d, missing %d", sum.Moved, missing)
	}
	rightOrAbsent(t, vm, dest)
}

// TestDelta changes little of a large file; little travels.
func TestDelta(t *testing.T) {
	content := randomBytes(5, 24<<20)
	for name, change := range map[string]func([]byte) []byte{
		"appended":  func(b []byte) []byte { return append(b, []byte("more")...) },
		"in place":  func(b []byte) []byte { copy(b[10<<20:], "changed"); return b },
		"both":      func(b []byte) []byte { copy(b[3<<20:], "changed"); return append(b, b[:100]...) },
		"truncated": func(b []byte) []byte { return b[:20<<20] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newVM(t, "gnu")
			at := vm.write(t, "work/log", string(content))
			dest := t.TempDir()
			o := PullOptions{Paths: []string{"work/"}, Dest: dest}
			_, err := pullTest(t, vm.remote(), o)
			check(t, err)
			want := change(bytes.Clone(content))
			check(t, os.WriteFile(at, want, 0o644))
			sum, err := pullTest(t, vm.remote(), o)
			check(t, err)
			got, err := os.ReadFile(filepath.Join(dest, "log"))
			check(t, err)
			if !bytes.Equal(got, want) {
				t.Error("content differs")
			}
			if sum.Moved > 2<<20 {
				t.Errorf("moved %d bytes", sum.Moved)
			}
		})
	}
}
