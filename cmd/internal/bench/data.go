package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// set is one folder of data on the VM.
type set struct {
	name, about string
	dir         string // on the VM and on this machine alike
	files       int
	bytes       int64
	// part is a small share of the same kind of data, for tools that pay a round
	// trip per file; factor is how much smaller it is in files.
	part   *set
	factor float64
}

// maker writes data sets below dir, from a fixed seed.
type maker struct {
	dir    string
	quick  bool
	source *rand.ChaCha8
}

func newMaker(dir string, quick bool) *maker {
	return &maker{dir: dir, quick: quick, source: rand.NewChaCha8([32]byte{7})}
}

// scale shrinks a count for -quick.
func (m *maker) scale(n int) int {
	if m.quick {
		return max(1, n/20)
	}
	return n
}

func (m *maker) random(n int) []byte {
	b := make([]byte, n)
	_, _ = m.source.Read(b) // never fails
	return b
}

// text makes n bytes of something like source code or a log: words from a
// small vocabulary with numbers between, which zstd shrinks to about a quarter.
func (m *maker) text(n int) []byte {
	words := strings.Fields(`the request failed while func return err nil worker image rendered campaign
		INFO WARN debug GET POST 200 503 retry attempt connection closed {"level": "info", "msg": if else range
		package import string int error context main() := == != // comment about layout colour size`)
	var b strings.Builder
	b.Grow(n + 64)
	for b.Len() < n {
		v := m.source.Uint64()
		b.WriteString(words[v%uint64(len(words))])
		switch v >> 32 % 8 {
		case 0:
			b.WriteByte('\n')
		case 1:
			fmt.Fprintf(&b, " %d ", v>>40%100_000)
		default:
			b.WriteByte(' ')
		}
	}
	return []byte(b.String()[:n])
}

// single makes one folder with one random file.
func (m *maker) single(name, about string, size int) (*set, error) {
	s := &set{name: name, about: about, dir: filepath.Join(m.dir, name), factor: 1}
	path := filepath.Join(s.dir, "random.bin")
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for left := size; left > 0; left -= 1 << 20 {
		if _, err := f.Write(m.random(min(left, 1<<20))); err != nil {
			return nil, err
		}
	}
	s.files, s.bytes = 1, int64(size)
	return s, f.Close()
}

// small makes files of 4 KiB, a hundred per folder, half text, half random.
func (m *maker) small(name string, count int) (*set, error) {
	s := &set{name: name, dir: filepath.Join(m.dir, name), factor: 1}
	for i := range count {
		content := m.random(4096)
		if i%2 == 0 {
			content = m.text(4096)
		}
		if err := s.add(fmt.Sprintf("d%03d/f%05d.dat", i/100, i), content); err != nil {
			return nil, err
		}
	}
	s.about = fmt.Sprintf("%d files of 4 KiB in %d folders", count, (count+99)/100)
	return s, nil
}

// mixed makes a workspace: of 100 files 75 are sources, 22 images, 3 logs;
// about 100 KB per file on average.
func (m *maker) mixed(name string, count int) (*set, error) {
	s := &set{name: name, dir: filepath.Join(m.dir, name), factor: 1}
	for i := range count {
		path, content := "", []byte(nil)
		spread := 0.25 + 1.5*float64(m.source.Uint64()%1000)/1000
		switch k := i % 100; {
		case k < 75:
			path, content = fmt.Sprintf("src/p%02d/file%04d.go", i/50, i), m.text(int(12_000*spread))
		case k < 97:
			path, content = fmt.Sprintf("out/images/img%04d.png", i), m.random(int(250_000*spread))
		default:
			path, content = fmt.Sprintf("logs/run%04d.log", i), m.text(int(1_200_000*spread))
		}
		if err := s.add(path, content); err != nil {
			return nil, err
		}
	}
	s.about = fmt.Sprintf("%d files of text, images and logs, %d MB", s.files, s.bytes/1e6)
	return s, nil
}

func (s *set) add(path string, content []byte) error {
	path = filepath.Join(s.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	s.files++
	s.bytes += int64(len(content))
	return os.WriteFile(path, content, 0o644)
}

// make builds the named set for use near by or at a distance.
func (m *maker) make(name string, far bool) (*set, error) {
	switch {
	case name == "A" && far:
		return m.single("A256", "one random file of 256 MiB"+m.shrunk(), m.scale(256<<20))
	case name == "A":
		return m.single("A", "one random file of 1 GiB"+m.shrunk(), m.scale(1<<30))
	case name == "B":
		return m.withPart(m.small, "B", m.scale(10_000), 100)
	}
	return m.withPart(m.mixed, "C", m.scale(2_000), 20)
}

func (m *maker) shrunk() string {
	if m.quick {
		return ", shrunk to a twentieth"
	}
	return ""
}

func (m *maker) withPart(build func(string, int) (*set, error), name string, count, share int) (*set, error) {
	whole, err := build(name, count)
	if err != nil {
		return nil, err
	}
	if whole.part, err = build(name+"-part", count/share); err != nil {
		return nil, err
	}
	whole.part.factor = float64(whole.files) / float64(whole.part.files)
	return whole, nil
}
