package listing

import (
	"bufio"
	"context"
	"io"
	"path"
	"strings"
	"time"

	ignore "github.com/sabhiram/go-gitignore"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// Filter decides which items are wanted. Patterns are matched against the name
// below the path asked for (a file asked for by itself: its base name).
type Filter struct {
	include, exclude *ignore.GitIgnore            // nil = none
	nested           map[string]*ignore.GitIgnore // by the folder they are in; nil = not asked for
	maxSize          int64
	newer            time.Time
}

// NewFilter makes one of gitignore patterns, the largest size that is wanted
// (bytes, 0 = any) and the time after which a file was changed (zero = any).
func NewFilter(include, exclude []string, maxSize int64, newer time.Time) *Filter {
	f := &Filter{maxSize: maxSize, newer: newer}
	if len(include) > 0 {
		f.include = ignore.CompileIgnoreLines(include...)
	}
	if len(exclude) > 0 {
		f.exclude = ignore.CompileIgnoreLines(exclude...)
	}
	return f
}

// HasInclude tells whether only what matches a pattern is wanted.
func (f *Filter) HasInclude() bool { return f.include != nil }

// Wants tells whether an item is wanted. With Include only matching files are,
// and folders only as they are needed for them.
func (f *Filter) Wants(it *Item) bool {
	name := it.Sub
	if name == "" {
		if it.Kind == 'd' {
			return f.include == nil
		}
		name = path.Base(it.Root.Remote)
	}
	if it.Kind == 'd' {
		name += "/"
	}
	if f.exclude != nil && f.exclude.MatchesPath(name) {
		return false
	}
	if f.include != nil && !f.include.MatchesPath(name) {
		return false
	}
	if f.nested != nil && f.ignored(it.Root.Remote, name) {
		return false
	}
	if it.Kind != 'f' {
		return true
	}
	return (f.maxSize <= 0 || it.Size <= f.maxSize) && (f.newer.IsZero() || it.ModTime().After(f.newer))
}

// ignored asks each .gitignore from the root down; the deepest that has an
// opinion wins, and below an ignored folder everything is.
func (f *Filter) ignored(rootDir, name string) bool {
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

// ReadIgnores fetches the .gitignore files below the roots, once, and heeds them
// from then on. They are text of the VM: at most they leave files out.
func (f *Filter) ReadIgnores(ctx context.Context, c *session.Conn, roots []*Root) error {
	if f.nested != nil {
		return nil
	}
	all := map[string]*ignore.GitIgnore{}
	for _, some := range inRuns(roots) {
		if err := readIgnores(ctx, c, some, all); err != nil {
			return err
		}
	}
	f.nested = all
	return nil
}

func readIgnores(ctx context.Context, c *session.Conn, roots []*Root, all map[string]*ignore.GitIgnore) error {
	args := []string{ignoreItemScript}
	for _, r := range roots {
		args = append(args, r.Remote)
	}
	s := c.Script(ctx, ignoreScript, args...)
	defer s.Stop()
	if err := s.Ready(); err != nil {
		return err
	}
	m := &reader{in: bufio.NewReader(io.LimitReader(s.Out, maxIgnoreBytes))}
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
	return nil
}
