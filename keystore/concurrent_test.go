package keystore

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestManyWriters has many processes write keys side by side while this one
// reads: none may be lost, and no reader may see anything but whole states.
func TestManyWriters(t *testing.T) {
	procs, each := torture(6, 50), torture(10, 100)
	dir := filepath.Join(t.TempDir(), "profile")
	cmds := make([]*exec.Cmd, procs)
	for p := range cmds {
		cmds[p] = childCommand(nil, "write", dir, strconv.Itoa(p*each), strconv.Itoa(each))
		must(t, cmds[p].Start())
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { readUntil(t, dir, procs*each, done) })
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a writer failed: %v", err)
		}
	}
	close(done)
	readers.Wait()
	s := openTest(t, dir, testOptions())
	for i := range procs * each {
		wantKey(t, s, testID(i), testPEM(testID(i)))
	}
	findings, err := s.Check()
	must(t, err)
	for _, f := range findings {
		if f.Severity != SeverityInfo {
			t.Fatalf("%+v", f)
		}
	}
	wantClean(t, dir)
}

func readUntil(t *testing.T, dir string, n int, done chan struct{}) {
	for i := 0; ; i = (i + 1) % n {
		select {
		case <-done:
			return
		default:
		}
		s, err := Open(dir, testOptions())
		if err != nil {
			t.Errorf("Open while others write: %v", err)
			return
		}
		key, err := s.key(testID(i))
		if err != nil && !IsNotFound(err) {
			t.Errorf("Key while others write: %v", err)
			return
		}
		if err == nil && string(key) != string(testPEM(testID(i))) {
			t.Error("a reader got a wrong key")
			return
		}
	}
}

// TestRewritingAndReading replaces one VM's key while others read it.
func TestRewritingAndReading(t *testing.T) {
	s := newTest(t)
	id := testID(0)
	mustPut(t, s, id, generation(0, 0))
	valid := map[string]bool{}
	rounds := torture(40, 500)
	for n := range rounds {
		valid[string(generation(0, n))] = true
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if key, err := s.key(id); err != nil || !valid[string(key)] {
					t.Errorf("Key while it is replaced: %v", err)
					return
				}
			}
		})
	}
	for n := range rounds {
		mustPut(t, s, id, generation(0, n))
	}
	close(done)
	readers.Wait()
	wantClean(t, s.Dir())
}

func TestLocks(t *testing.T) {
	s := newTest(t)
	other := openTest(t, s.Dir(), testOptions())
	unlock, err := s.Lock(t.Context(), "sync", false)
	must(t, err)
	for _, x := range []*Store{s, other} {
		_, err = x.Lock(t.Context(), "sync", false)
		wantKind(t, err, KindLocked)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = other.Lock(ctx, "sync", true)
	wantKind(t, err, KindLocked)
	got := make(chan func(), 1)
	go func() {
		u, err := other.Lock(context.Background(), "sync", true)
		if err != nil {
			t.Error(err)
		}
		got <- u
	}()
	unlock()
	(<-got)()
	unlock() // twice is once
	_, err = s.Lock(t.Context(), "../x", false)
	wantKind(t, err, KindInvalid)
}

func TestKilledHolderFreesTheLock(t *testing.T) {
	s := newTest(t)
	cmd, out := startChild(t, "hold", s.Dir())
	if !out.Scan() || out.Text() != "held" {
		t.Fatalf("child said %q", out.Text())
	}
	_, err := s.Lock(t.Context(), "test", false)
	wantKind(t, err, KindLocked)
	must(t, cmd.Process.Kill())
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	unlock, err := s.Lock(ctx, "test", true)
	must(t, err)
	unlock()
	t.Logf("freed after %v", time.Since(start))
}
