//go:build unix

package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// More names at the top than xargs takes at a time (128 KiB of GNU's, 32 KiB of
// busybox's) are pushed, and pulled by name, like few; none of them is run: xargs
// would begin a second command with one.
func TestManyNamesAtTheTop(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm, here := newVM(t, kind), t.TempDir()
			count := map[string]int{"gnu": 2000, "busybox": 600}[kind]
			var paths []string
			for i := range count {
				name := fmt.Sprintf("%04d$(touch HERE)%050d", i, i)
				check(t, os.WriteFile(filepath.Join(here, name), []byte(name), 0o600))
				paths = append(paths, "in/"+name)
			}
			sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{here + "/"}, Dest: "in/"})
			check(t, err)
			if sum.Files != int64(count) {
				t.Errorf("%d files of %d were pushed", sum.Files, count)
			}
			sameFiles(t, here, vm.file("in"))
			there := t.TempDir()
			pulled, err := pullTest(t, vm.remote(), PullOptions{Paths: paths, Dest: there})
			check(t, err)
			if pulled.Files != int64(count) {
				t.Errorf("%d files of %d were pulled", pulled.Files, count)
			}
			if ran, _ := filepath.Glob(vm.file("HERE*")); len(ran) > 0 {
				t.Errorf("a name was run: %q", ran)
			}
		})
	}
}
