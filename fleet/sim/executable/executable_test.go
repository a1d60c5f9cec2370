//go:build unix

package executable

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestRunsAtOnce writes and runs programs while others fork all the time.
func TestRunsAtOnce(t *testing.T) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("/bin/sh", "-c", ":").Run()
				}
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	dir := t.TempDir()
	for i := range 100 {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := Write(at, strings.NewReader("#!/bin/sh\necho "+fmt.Sprint(i)+"\n"+strings.Repeat("# more\n", 20_000))); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(at).CombinedOutput(); err != nil || string(out) != fmt.Sprintln(i) {
			t.Fatalf("program %d: %q, %v", i, out, err)
		}
	}
}
