//go:build unix

package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestLostVMNamesFiles loses the VM in the middle: what did not come is counted
// and named, what came is not.
func TestLostVMNamesFiles(t *testing.T) {
	vm := newVM(t, "gnu")
	for i := range 400 {
		vm.write(t, fmt.Sprintf("work/f%03d", i), string(randomBytes(uint64(i), 3000)))
	}
	vm.write(t, "work/large", string(randomBytes(1, largeFile+1)))
	dest := t.TempDir()
	vm.budget.Store(600_000)
	sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"work"}, Dest: dest})
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Fatalf("error %v", err)
	}
	if sum.Files+sum.Failed != 401 || sum.Failed == 0 {
		t.Errorf("%d came, %d failed", sum.Files, sum.Failed)
	}
	named := map[string]bool{}
	for _, f := range sum.Failures {
		if f.Kind != FailLost || named[f.Path] {
			t.Errorf("%q: %s, named before: %v", f.Path, f.Kind, named[f.Path])
		}
		named[f.Path] = true
		if _, err := os.Stat(filepath.Join(dest, f.Path)); err == nil {
			t.Errorf("%s is here", f.Path)
		}
	}
	if len(named) == 0 || !named["work/large"] {
		t.Errorf("named: %d of %d", len(named), sum.Failed)
	}
}
