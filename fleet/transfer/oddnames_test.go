//go:build unix

package transfer

import (
	"fmt"
	"os"
	"testing"
)

// Names that tools cannot print cost sessions by the batch, not one each.
func TestOddNamesTogether(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm, here := newVM(t, kind), t.TempDir()
			for i := range 60 {
				vm.write(t, fmt.Sprintf("w/back\\slash %d", i), fmt.Sprintf("%0*d", i+1, i))
				vm.write(t, fmt.Sprintf("w/new\nline %d", i), fmt.Sprint(i))
			}
			vm.write(t, "w/empty\\", "")
			check(t, os.Symlink("back\\slash 1", vm.file("w/link\\")))
			sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"w/"}, Dest: here})
			check(t, err)
			if sum.Files != 121 || sum.Failed != 0 || sum.Verified != "sha256" {
				t.Errorf("%+v", sum)
			}
			sameFiles(t, vm.file("w"), here)
			if n := vm.execs.Load(); n > 20 {
				t.Errorf("%d sessions", n)
			} else {
				t.Logf("%d sessions", n)
			}
		})
	}
}

// More of them than a stream bears of lines without sense are pushed, too.
func TestPushManyOddNames(t *testing.T) {
	vm, here := newVM(t, "gnu"), t.TempDir()
	for i := range maxUnaskedLines + 10 {
		check(t, os.WriteFile(fmt.Sprintf("%s/back\\slash %d", here, i), nil, 0o644))
	}
	sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/"}, Dest: "in"})
	check(t, err)
	if sum.Files != maxUnaskedLines+10 || sum.Failed != 0 {
		t.Errorf("%d files, %d failed", sum.Files, sum.Failed)
	}
}
