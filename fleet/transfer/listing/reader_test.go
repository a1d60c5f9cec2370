package listing

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// answer is a VM that answers every command with the same text.
type answer string

func (a answer) Exec(_ context.Context, _ string, _ io.Reader, stdout, _ io.Writer) error {
	_, err := io.WriteString(stdout, session.Ready+string(a))
	return err
}

func (answer) OpenSubsystem(context.Context, string) (io.ReadWriteCloser, error) {
	return nil, errors.New("no subsystem")
}

func (answer) Ping(context.Context) error { return nil }

// sink checks what a listing hands on.
type sink struct {
	t     *testing.T
	items []Item
	odd   int
}

func (s *sink) Tools(Tools) error { return nil }
func (s *sink) Item(it Item) error {
	if rel := it.Rel(); rel != "" && dest.CheckName(rel) != "" {
		s.t.Errorf("handed on: %q", rel)
	}
	if it.Size < 0 || it.Blocks < -1 || it.Mode > 0o7777 {
		s.t.Errorf("handed on: %+v", it)
	}
	s.items = append(s.items, it)
	return nil
}
func (s *sink) Missing(*Root)            { s.odd++ }
func (s *sink) Refused(string, string)   { s.odd++ }
func (s *sink) Unreadable(*Root, string) { s.odd++ }
func (s *sink) Waiting()                 {}
func list(t *testing.T, text string) (*sink, bool, error) {
	t.Helper()
	to := &sink{t: t}
	complete, err := Run(t.Context(), session.NewConn(answer(text)), []*Root{NewRoot("/w/")}, to)
	return to, complete, err
}

const (
	headFind = "P\x00find\x00gnu\x00sha256sum\x00none\x00dd tee\x00"
	headStat = "P\x00stat\x00plain\x00sha256sum\x00none\x00dd\x00"
	findOK   = headFind + "R0\x00Fd 0 755 1700000000.5 1 2 1 8\x00\x00\x00Ff 4 644 1700000000.123456789 1 3 1 8\x00\x00a\nb\x00E0\x00"
	statOK   = headStat + "R0\x00L\x00/w/./l\x00../x\n\x00B\x00/w/.\x00/w/./l\x00/w/./f\x00\x00" +
		"41ed 0 1700000000 2023-11-14 22:13:20.5 +0000 1 2 1 8 /w/.\n" +
		"a1ff 4 1700000000 2023-11-14 22:13:20.5 +0000 1 4 1 0 /w/./l\n" +
		"81a4 4 1700000000 2023-11-14 22:13:20.25 +0000 1 3 1 8 /w/./f\n\x00E0\x00"
)

func TestRun(t *testing.T) {
	got, complete, err := list(t, findOK)
	if err != nil || !complete || len(got.items) != 2 || got.odd != 0 || got.items[1].Sub != "a\nb" || got.items[1].Mtime != 1700000000123456789 {
		t.Errorf("find: %+v, %v, %v", got, complete, err)
	}
	got, complete, err = list(t, statOK)
	if err != nil || !complete || len(got.items) != 3 || got.odd != 0 || got.items[1].Target != "../x" || got.items[2].Mtime != 1700000000250000000 {
		t.Errorf("stat: %+v, %v, %v", got, complete, err)
	}
}

// FuzzRun lists whatever: only names that pass come through, and it ends.
func FuzzRun(f *testing.F) {
	for _, seed := range []string{
		findOK, statOK, headFind, headStat, "", "P", strings.Replace(findOK, "a\nb", "../x", 1), strings.Replace(findOK, " 4 ", " -4 ", 1),
		strings.Replace(statOK, "/w/./f", "/w/./../f", 2), headFind + "M0\x00", headFind + "R0\x00E1\x00", headStat + "R0\x00B\x00\x00\x00E0\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { _, _, _ = list(t, text) })
}
