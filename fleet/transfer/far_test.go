//go:build unix

package transfer

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What compresses to nothing stays in the compressor until more is asked for:
// the pull must not wait for it.
func TestCompressorSitsOnData(t *testing.T) {
	need(t, "zstd")
	vm := newVM(t, "gnu")
	vm.far = 2 * lowRTT
	for i := range 64 {
		vm.write(t, fmt.Sprintf("zeros/%d", i), strings.Repeat("\x00", 1<<20))
	}
	dest := t.TempDir()
	began := time.Now()
	sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{vm.file("zeros")}, Dest: dest})
	check(t, err)
	if sum.Files != 64 || sum.Failed != 0 || sum.Verified != "sha256" {
		t.Errorf("%+v", sum)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	sameTree(t, vm.file("zeros"), filepath.Join(dest, "zeros"), false)
}

// At a distance one connection carries several sessions, and hashes come with
// the contents; where a drop leaves halves, they are put together.
func TestFarWithManySessionsAndDrops(t *testing.T) {
	vm := newVM(t, "gnu")
	vm.far = 2 * lowRTT
	for i := range 1000 {
		vm.write(t, fmt.Sprintf("w/%d/%d", i%10, i), strings.Repeat(fmt.Sprint(i), 1000))
	}
	vm.write(t, "w/large", strings.Repeat("0123456789abcdef", largeFile/16+99))
	vm.budget.Store(2 << 20)
	dest := t.TempDir()
	o := PullOptions{Paths: []string{vm.file("w")}, Dest: dest}
	r := Remote{Conn: vm, Redial: func(context.Context) (Conn, error) { vm.heal(); return vm, nil }}
	sum, err := pullTest(t, r, o)
	check(t, err)
	if sum.Files != 1001 || sum.Failed != 0 {
		t.Errorf("%d files, %d failed", sum.Files, sum.Failed)
	}
	sameTree(t, vm.file("w"), filepath.Join(dest, "w"), false)
}
