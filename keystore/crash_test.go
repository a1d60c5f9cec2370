package keystore

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// acked is what a rewriting child has acknowledged: the highest key number of
// each VM.
type acked [rewriteVMs]int

func (a *acked) note(line string) {
	if n, err := strconv.Atoi(line); err == nil {
		a[n%rewriteVMs] = n
	}
}

// verify checks that each VM has the key that was acknowledged last, or the
// next one, which the writer was killed at; and that no trace of it is left.
func (a acked) verify(t *testing.T, dir, what string) (next int) {
	t.Helper()
	s := openTest(t, dir, testOptions())
	for vm, n := range a {
		next = max(next, n+1)
		if n < 0 {
			continue
		}
		key, err := s.key(testID(vm))
		if err != nil {
			t.Fatalf("%s: VM %d lost key %d: %v", what, vm, n, err)
		}
		if got := string(key); got != string(generation(vm, n)) && got != string(generation(vm, n+rewriteVMs)) {
			t.Fatalf("%s: VM %d has neither key %d nor the next", what, vm, n)
		}
	}
	findings, err := s.Check()
	must(t, err)
	for _, f := range findings {
		if f.Severity == SeverityError || f.Severity == SeverityWarning && f.Kind != KindNotFound && f.Path != "" {
			t.Fatalf("%s: %+v", what, f)
		}
	}
	wantClean(t, dir)
	return next
}

// TestKill kills a writer with SIGKILL at random moments.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	state := acked{-1, -1, -1}
	next := 0
	for i := range torture(12, 1000) {
		cmd, out := startChild(t, "rewrite", dir, strconv.Itoa(next))
		timer := time.NewTimer(time.Minute)
		for out.Scan() {
			state.note(out.Text())
			// From the first acknowledgement on, at any moment.
			if timer.Stop() {
				timer = time.AfterFunc(time.Duration(rand.Int64N(int64(40*time.Millisecond))), func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		next = state.verify(t, dir, fmt.Sprintf("kill %d", i))
	}
}
