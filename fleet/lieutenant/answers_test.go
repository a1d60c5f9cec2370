//go:build unix

package lieutenant

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func answers(t *testing.T, s *Stream, q Query) ([]Answer, error) {
	t.Helper()
	a, err := s.Answers(t.Context(), q)
	return a.List, err
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		stream string
		want   []string // complete answers
		all    []string // with partial ones; nil = the same
	}{
		{"empty", "", []string{}, nil},
		{"one", started + delta("Hello, ") + delta("world\n") + ended, []string{"Hello, world\n"}, nil},
		{"several", started + delta("1") + ended + `{"type":"response"}` + "\n" + started + delta("2") + ended, []string{"1", "2"}, nil},
		{"without a word", started + ended, []string{""}, nil},
		{"still being written", started + delta("1") + ended + started + delta("2"), []string{"1"}, []string{"1", "2"}},
		{"just begun", started + delta("1") + ended + started, []string{"1"}, []string{"1", ""}},
		{"half-written last line", started + delta("1") + ended + started + delta("2") + ended[:20], []string{"1"}, []string{"1", "2"}},
		{"last line without its newline", started + delta("1") + strings.TrimSpace(ended), []string{}, []string{"1"}},
		{"a crash in between", started + delta("1") + ended + started + delta("lost") + started + delta("3") + ended, []string{"1", "3"}, []string{"1", "lost", "3"}},
		{"beginning rotated away", delta("2") + ended + started + delta("3") + ended, []string{"2", "3"}, nil},
		{"two beginnings lost", delta("1") + ended + delta("2") + ended, []string{"1", "2"}, nil},
		{"garbage", "boom\n" + started + "\x00\xff\n\n{\"type\":\n[]\nnull\n\"agent_end\"\n" + delta("1") + "{}\n" + ended, []string{"1"}, nil},
		{"garbage on the same line", "Warning: {x}" + started + `npm {"a"` + delta("1") + "oops" + ended, []string{"1"}, nil},
		{"events named in a text", started + delta(`{"type":"agent_end"}`) + delta("\n"+ended) + ended, []string{`{"type":"agent_end"}` + "\n" + ended}, nil},
		{"wrong types", started + `{"type":"message_update","assistantMessageEvent":"text_delta"}` + "\n" +
			`{"type":"message_update","message":7,"timestamp":{},"assistantMessageEvent":{"type":"text_delta","delta":"1"}}` + "\n" +
			`{"type":"message_update","assistantMessageEvent":{"type":"text_delta","delta":5}}` + "\n" +
			`{"type":"message_update","assistantMessageEvent":{"type":"thinking_delta","delta":"text_delta"}}` + "\n" + ended, []string{"1"}, nil},
		{"a character cut in half", started + strings.Replace(delta("@"), "@", `ä\ud83d`, 1) + strings.Replace(delta("@"), "@", `\ude00!`, 1) + ended, []string{"ä😀!"}, nil},
		{"DOS newlines", strings.ReplaceAll(started+delta("1")+ended, "\n", "\r\n"), []string{"1"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t, local{[]string{"sh", "-c"}, os.Environ()})
			s.write(t, tt.stream)
			got, err := answers(t, s, Query{})
			if err != nil || !slices.Equal(texts(got), tt.want) {
				t.Errorf("%q, %v; want %q", texts(got), err, tt.want)
			}
			if last, err := answers(t, s, Query{Last: 1}); err != nil || !slices.Equal(texts(last), tt.want[max(len(tt.want)-1, 0):]) {
				t.Errorf("last %+v, %v", last, err)
			}
			if tt.all == nil {
				tt.all = tt.want
			}
			if got, err := s.Answers(t.Context(), Query{partial: true}); err != nil || !slices.Equal(texts(got.List), tt.all) {
				t.Errorf("with partial: %q, %v; want %q", texts(got.List), err, tt.all)
			}
		})
	}
}

// TestAnswersAcrossBlocks has lines and answers that begin and end anywhere in the blocks.
func TestAnswersAcrossBlocks(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		if _, err := answers(t, s, Query{}); !errors.Is(err, ErrNoLieutenant) {
			t.Fatalf("without a stream: %v", err)
		}
		var want []string
		for i := range 40 {
			text := strings.Repeat(string(rune('a'+i%26)), 1+i*i*97)
			want = append(want, text+"|"+text)
			s.write(t, started, strings.Repeat(`{"type":"tool_execution_update"}`+"\n", i*100), delta(text+"|"), delta(text), ended)
		}
		for _, n := range []int{0, 1, 3, 40, 100} {
			got, err := answers(t, s, Query{Last: n})
			if err != nil {
				t.Fatal(err)
			}
			expect := want[len(want)-min(len(want), n):]
			if n == 0 {
				expect = want
			}
			if !slices.Equal(texts(got), expect) {
				t.Errorf("%d answers asked for, %d wrong or missing", n, len(expect))
			}
		}
		var raw bytes.Buffer
		s.write(t, `{"half`)
		if err := s.Raw(t.Context(), 2, &raw); err != nil {
			t.Fatal(err)
		}
		file, _ := os.ReadFile(s.paths.out)
		cut := bytes.LastIndex(file[:bytes.LastIndex(file, []byte(started))], []byte(started))
		if !bytes.Equal(raw.Bytes(), bytes.TrimSuffix(file[cut:], []byte(`{"half`))) {
			t.Errorf("raw: %d bytes, want %d", raw.Len(), len(file)-cut-6)
		}
		raw.Reset()
		if err := s.Raw(t.Context(), 0, &raw); err != nil || !bytes.Equal(raw.Bytes(), bytes.TrimSuffix(file, []byte(`{"half`))) {
			t.Errorf("the whole stream raw: %d bytes, %v", raw.Len(), err)
		}
	})
}

func TestSince(t *testing.T) {
	at := time.Now().Truncate(time.Second).Add(-time.Hour)
	dated := func(s string, t time.Time) string {
		return strings.Replace(s, `{"type"`, `{"timestamp":`+jsonString(t.Format(time.RFC3339))+`,"type"`, 1)
	}
	s := newStream(t, local{[]string{"sh", "-c"}, os.Environ()})
	for i, text := range []string{"1", "2", "3"} {
		at := at.Add(time.Duration(i) * time.Minute)
		s.write(t, dated(started, at), delta(text), dated(ended, at.Add(time.Second)))
	}
	for minutes, want := range map[int][]string{-1: {"1", "2", "3"}, 1: {"2", "3"}, 2: {"3"}, 3: {}, 120: {}} {
		got, err := answers(t, s, Query{Since: at.Add(time.Duration(minutes) * time.Minute)})
		if err != nil || !slices.Equal(texts(got), want) {
			t.Errorf("since minute %d: %q, %v", minutes, texts(got), err)
		}
		if len(got) > 0 && !got[0].Ended.Equal(got[0].Started.Add(time.Second)) {
			t.Errorf("%+v", got[0])
		}
	}
}

// meter counts what comes over a connection that is used for one thing at a time.
type meter struct {
	Conn
	received int64
}

func (m *meter) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	return m.Conn.Exec(ctx, cmd, stdin, io.MultiWriter(stdout, m), stderr)
}

func (m *meter) Write(p []byte) (int, error) {
	m.received += int64(len(p))
	return len(p), nil
}

// A stream of nothing but answers without a word, or of one answer in pieces without end,
// fills no memory: what is left out is said.
func TestAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		unit, end string
		cut       bool
		most      int
	}{
		"answers": {started + ended, "", true, maxText / answerSize},
		"pieces":  {delta(""), ended, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, local{[]string{"sh", "-c"}, os.Environ()})
			s.write(t, started+strings.Repeat(tt.unit, 100_000)+tt.end)
			a, err := s.Answers(t.Context(), Query{})
			if err != nil || a.Cut != tt.cut || len(a.List) == 0 || len(a.List) > tt.most {
				t.Errorf("%d answers, cut %v, %v", len(a.List), a.Cut, err)
			}
		})
	}
	c := collector{open: &Answer{}}
	for range maxText {
		c.add(parsed{})
		c.add(parsed{delta: []byte("x")})
	}
	if len(c.deltas) > maxText/pieceSize || !c.open.Damaged {
		t.Errorf("%d pieces are kept, damaged %v", len(c.deltas), c.open.Damaged)
	}
}
