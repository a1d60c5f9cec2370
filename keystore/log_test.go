package keystore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A log keeps the newest lines, private and bounded, and goes on where another
// process has stopped.
func TestLog(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "p"), Options{})
	if data, err := s.Log("x").Read(); err != nil || len(data) != 0 {
		t.Fatal(data, err)
	}
	line := bytes.Repeat([]byte("l"), 999)
	for process := range 3 {
		l := s.Log("x")
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				for i := range 300 {
					if _, err := l.Write(fmt.Appendf(nil, "%s%d.%d.%03d\n", line, process, n, i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	data, err := s.Log("x").Read()
	if err != nil || len(data) > 2*maxLog || len(data) < maxLog {
		t.Fatal(len(data), err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		if len(line) != 1006 {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
	for _, name := range []string{"x.log", "x.log.1"} {
		if i, err := os.Stat(filepath.Join(s.Dir(), name)); err != nil || i.Mode().Perm() != 0o600 {
			t.Error(name, i.Mode(), err)
		}
	}
	if err := os.Remove(filepath.Join(s.Dir(), "x.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), filepath.Join(s.Dir(), "x.log")); err != nil {
		t.Skip(err)
	}
	if _, err := s.Log("x").Write([]byte("x\n")); KindOf(err) != KindSymlink {
		t.Error(err)
	}
}
