package transfer

import (
	"bufio"
	"context"
	"io"
	"path"
	"strings"
	"time"

	ignore "github.com/sabhiram/go-gitignore"
)

// filter decides which items are wanted. Patterns are matched against the name
// below the path asked for (a file asked for by itself: its base name).
type filter struct {
	include, exclude *ignore.GitIgnore // nil = none
	nested           map[string]*ignore.GitIgnore
	maxSize          int64
	newer            time.Time
}

func newFilter(include, exclude []string, maxSize int64, newer time.Time) *filter {
	f := &filter{maxSize: maxSize, newer: newer}
	if len(include) > 0 {
		f.include = ignore.CompileIgnoreLines(include...)
	}
	if len(exclude) > 0 {
		f.exclude = ignore.CompileIgnoreLines(exclude...)
	}
	return f
}

// wants tells whether an item is wanted. With Include only matching files are,
// and folders only as they are needed for them.
func (f *filter) wants(it *item) bool {
	name := it.sub
	if name == "" {
		if it.kind == 'd' {
			return f.include == nil
		}
		name = path.Base(it.root.remote)
	}
	if it.kind == 'd' {
		name += "/"
	}
	if f.exclude != nil && f.exclude.MatchesPath(name) {
		return false
	}
	if f.include != nil && !f.include.MatchesPath(name) {
		return false
	}
	if f.nested != nil && f.ignored(it.root.remote, name) {
		return false
	}
	if it.kind != 'f' {
		return true
	}
	return (f.maxSize <= 0 || it.size <= f.maxSize) && (f.newer.IsZero() || it.modTime().After(f.newer))
}

// ignored asks each .gitignore from the root down; the deepest that has an
// opinion wins, and below an ignored folder everything is.
func (f *filter) ignored(rootDir, name string) bool {
	verdict := false
	for i := 0; i <= len(name); i++ {
		if i > 0 && (i == len(name) || name[i-1] != '/') {
			continue
		}
		dir := path.Join(rootDir, name[:i])
		gi := f.nested[dir]
		if gi == nil {
			continue
		}
		if matched, how := gi.MatchesPathHow(name[i:]); how != nil {
			verdict = matched
		}
	}
	return verdict
}

const (
	maxIgnoreFiles = 10_000
	maxIgnoreBytes = 16 << 20
)

// readIgnores fetches the .gitignore files below the roots. They are text of
// the VM: at most they leave files out.
func readIgnores(ctx context.Context, c Conn, roots []*root) (map[string]*ignore.GitIgnore, error) {
	s := startSession(ctx, c, runSh)
	defer s.stop()
	go func() {
		args := []string{ignoreScript, "sh", ignoreItemScript}
		for _, r := range roots {
			args = append(args, r.remote)
		}
		_, _ = io.WriteString(s.in, strings.Join(args, "\x00")+"\x00")
		_ = s.in.Close()
	}()
	if err := s.ready(); err != nil {
		return nil, err
	}
	all := map[string]*ignore.GitIgnore{}
	m := &reader{in: bufio.NewReader(io.LimitReader(s.out, maxIgnoreBytes))}
	for len(all) < maxIgnoreFiles {
		name, err := m.token()
		if err != nil {
			break
		}
		text, err := m.token()
		if err != nil {
			break
		}
		if len(text) <= 64<<10 {
			all[path.Join(path.Dir(name))] = ignore.CompileIgnoreLines(strings.Split(text, "\n")...)
		}
	}
	return all, nil
}
