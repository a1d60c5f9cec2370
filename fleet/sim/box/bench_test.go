package box

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkFind lists 10,000 files, as the first step of a pull does.
func BenchmarkFind(b *testing.B) {
	fsys, err := NewFS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer fsys.Close()
	for d := range 100 {
		dir := fmt.Sprintf("/root/w/d%02d", d)
		if err := fsys.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 100 {
			if err := fsys.WriteFile(fmt.Sprintf("%s/f%02d", dir, f), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	m := &Machine{FS: fsys, Hostname: "vm"}
	for b.Loop() {
		s := job{command: `find w -printf '%y %s %m %T@ %p\0'`, stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
		if m.run(b.Context(), s) != 0 {
			b.Fatal("find failed")
		}
	}
}

// BenchmarkTrue is the cost of a command that does nothing.
func BenchmarkTrue(b *testing.B) {
	fsys, err := NewFS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer fsys.Close()
	m := &Machine{FS: fsys, Hostname: "vm"}
	for b.Loop() {
		m.run(b.Context(), job{command: "true", stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard})
	}
}
