//go:build unix

package lieutenant

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agent answers the commands that arrive at the stream's FIFO, as reply says; "" is silence.
func agent(t *testing.T, s *Stream, reply func(command string) string) {
	t.Helper()
	session(t, s)
	check(t, syscall.Mkfifo(s.paths.in, 0o600))
	reader, err := os.OpenFile(s.paths.in, os.O_RDWR, 0)
	check(t, err)
	t.Cleanup(func() { reader.Close() })
	s.sendWait = 60
	go func() {
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			var cmd struct{ Type, ID string }
			if json.Unmarshal(lines.Bytes(), &cmd) != nil {
				continue
			}
			if data := reply(cmd.Type); data != "" {
				s.write(t, fmt.Sprintf(`{"id":%q,"type":"response","command":%q,%s}`+"\n", cmd.ID, cmd.Type, data))
			}
		}
	}()
}

// sessionLine is a message in a session file, at a second.
func sessionLine(second int, role, text, stop string) string {
	return fmt.Sprintf(`{"type":"message","id":"a","timestamp":"2026-02-24T03:00:00.000Z","message":{"role":%q,"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":%s},{"type":"toolCall","arguments":{"text":"x"}}],"stopReason":%q,"errorMessage":"overloaded","timestamp":%d}}`+"\n",
		role, jsonString(text), stop, 1771900000000+int64(second)*1000)
}

// saidAt is an answer in the stream, with the time of its message.
func saidAt(second int, text string) string {
	d := strings.Replace(delta(text), `{"role":"assistant"}`, fmt.Sprintf(`{"role":"assistant","timestamp":%d}`, 1771900000000+int64(second)*1000), 1)
	return started + d + ended
}

func TestHistory(t *testing.T) {
	t.Parallel()
	header := `{"type":"session","version":3,"id":"x","timestamp":"2026-02-24T03:00:00.000Z","cwd":"/root/workspace"}` + "\n"
	image := sessionLine(0, "user", strings.Repeat("iVBORw0KGgo+/AAA", 9<<10), "")
	old := header + image + sessionLine(1, "assistant", "1", "toolUse") + sessionLine(2, "toolResult", "no", "") + sessionLine(3, "assistant", "a", "stop") +
		sessionLine(4, "user", "?", "") + sessionLine(5, "assistant", "lost", "error") + sessionLine(6, "assistant", strings.Repeat("2", 300<<10), "stop")
	long := strings.Repeat("2", 300<<10)
	for _, tt := range []struct {
		name    string
		session string
		stream  string
		q       Query
		want    []string
		asked   bool
	}{
		{"only a stream", "", saidAt(1, "1"), Query{}, []string{"1"}, true},
		{"the stream has it", old, saidAt(9, "9"), Query{Last: 1}, []string{"9"}, false},
		{"restarted", old, "", Query{Last: 1}, []string{long}, true},
		{"all of it", old, "", Query{}, []string{"1a", long}, true},
		{"behind it", old, saidAt(9, "9"), Query{}, []string{"1a", long, "9"}, true},
		{"the same again", old, saidAt(3, "1a") + saidAt(6, long), Query{}, []string{"1a", long}, true},
		{"the last again", old, saidAt(6, long) + saidAt(9, "9"), Query{Last: 2}, []string{long, "9"}, false},
		{"the last again, and more", old, saidAt(6, long) + saidAt(9, "9"), Query{Last: 3}, []string{"1a", long, "9"}, true},
		{"its beginning was rotated away", old, strings.TrimPrefix(saidAt(6, "2"), started), Query{}, []string{"1a", long}, true},
		{"without times", old, started + delta(long) + ended + started + delta("3") + ended, Query{}, []string{"1a", long, "3"}, true},
		{"still at work", old + sessionLine(7, "user", "?", "") + sessionLine(8, "assistant", "I look", "toolUse"), "", Query{}, []string{"1a", long}, true},
		{"failed without a word", old + sessionLine(7, "user", "?", "") + sessionLine(8, "assistant", "", "error"), "", Query{Last: 1}, []string{long}, true},
		{"since", old, saidAt(9, "9"), Query{Since: time.UnixMilli(1771900005000)}, []string{long, "9"}, true},
		{"garbage", header + "boom\n{}\n" + `{"type":"message","message":"x"}` + "\n" + `{"type":"message","message":{"role":"assistant","content":7}}` + "\n" + old, "", Query{Last: 1}, []string{long}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inShells(t, func(t *testing.T, s *Stream) {
				s.write(t, tt.stream)
				file := filepath.Join(filepath.Dir(s.paths.out), "session.jsonl")
				if tt.session != "" {
					check(t, os.WriteFile(file, []byte(tt.session), 0o600))
				}
				asked := false
				agent(t, s, func(string) string {
					asked = true
					return `"success":true,"data":{"isStreaming":false,"sessionFile":` + jsonString(file) + `}`
				})
				a, known, err := s.History(t.Context(), tt.q, Sessions{})
				if err != nil || !slices.Equal(texts(a.List), tt.want) || asked != tt.asked || len(known.Files) > 0 != tt.asked {
					t.Errorf("%.50q, asked %t: %v, %v", texts(a.List), asked, known, err)
				}
				if tt.name == "failed without a word" && a.Failed != "overloaded" {
					t.Errorf("failed: %q", a.Failed)
				}
				if asked = false; tt.asked {
					if again, _, err := s.History(t.Context(), tt.q, known); err != nil || !slices.Equal(texts(again.List), tt.want) || asked {
						t.Errorf("again: %.50q, asked %t, %v", texts(again.List), asked, err)
					}
				}
			}, "sh", "busybox without stat")
		})
	}
}

// TestHistoryOfAgentsThatNobodyAsked: their sessions lie beside the one that is named.
func TestHistoryOfAgentsThatNobodyAsked(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		s.write(t)
		dir := filepath.Dir(s.paths.out)
		for name, text := range map[string]string{"2026-02-24T01 a.jsonl": "1", "2026-02-24T02-b.jsonl": "2", "notes.txt": "no"} {
			check(t, os.WriteFile(filepath.Join(dir, name), []byte(sessionLine(0, "user", "?", "")+sessionLine(int(text[0]), "assistant", text, "stop")), 0o600))
		}
		agent(t, s, func(string) string {
			return `"success":true,"data":{"sessionFile":` + jsonString(filepath.Join(dir, "2026-02-24T03-c.jsonl")) + `}`
		})
		if a, _, err := s.History(t.Context(), Query{}, Sessions{}); err != nil || !slices.Equal(texts(a.List), []string{"1", "2"}) {
			t.Errorf("%q, %v", texts(a.List), err)
		}
		if a, _, err := s.History(t.Context(), Query{Last: 1}, Sessions{}); err != nil || !slices.Equal(texts(a.List), []string{"2"}) {
			t.Errorf("last: %q, %v", texts(a.List), err)
		}
	})
}

// TestHistoryWithoutAnAgent reads what the agents before have named.
func TestHistoryWithoutAnAgent(t *testing.T) {
	s := newStream(t, local{[]string{"sh", "-c"}, os.Environ()})
	dir := filepath.Dir(s.paths.out)
	files := []string{filepath.Join(dir, "1.jsonl"), filepath.Join(dir, "gone.jsonl"), filepath.Join(dir, "2.jsonl")}
	check(t, os.WriteFile(files[0], []byte(sessionLine(0, "user", "?", "")+sessionLine(1, "assistant", "1", "stop")), 0o600))
	check(t, os.WriteFile(files[2], []byte(sessionLine(2, "user", "?", "")+sessionLine(3, "assistant", "2", "stop")), 0o600))
	a, _, err := s.History(t.Context(), Query{}, Sessions{Files: files})
	if err != nil || !slices.Equal(texts(a.List), []string{"1", "2"}) {
		t.Errorf("%q, %v", texts(a.List), err)
	}
	if a, _, err := s.History(t.Context(), Query{Last: 1}, Sessions{Files: files}); err != nil || !slices.Equal(texts(a.List), []string{"2"}) {
		t.Errorf("%q, %v", texts(a.List), err)
	}
	if _, _, err := s.History(t.Context(), Query{}, Sessions{Files: []string{filepath.Join(dir, "elsewhere", "gone.jsonl")}}); !errors.Is(err, ErrNoLieutenant) {
		t.Errorf("nothing is left: %v", err)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		s.write(t, started, `{"half a line`)
		agent(t, s, func(command string) string {
			if command == "get_state" {
				return `"success":false,"error":"not now"`
			}
			return `"success":true,"data":{"userMessages":5,"assistantMessages":6,"toolCalls":12,"totalMessages":22,"tokens":{"input":50000,"output":10000,"cacheRead":40000,"cacheWrite":5000,"total":105000},"cost":0.45}`
		})
		s.write(t, "\n")
		st, err := s.Stats(t.Context())
		if want := (Stats{5, 6, 12, 22, 50000, 10000, 40000, 5000, 105000, 0.45}); err != nil || st != want {
			t.Errorf("%+v, %v", st, err)
		}
		if err := s.Tell(t.Context(), Message{Type: Prompt, Text: "x"}); err != nil {
			t.Errorf("a prompt: %v", err)
		}
		if err := s.Tell(t.Context(), Message{Type: Prompt}); !errors.Is(err, ErrBadMessage) {
			t.Errorf("an empty one: %v", err)
		}
		if _, err := s.sessionFile(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not now") {
			t.Errorf("%v", err)
		}
	}, "sh", "busybox")
}

func TestJoin(t *testing.T) {
	answers := func(text string) (list []Answer) {
		for word := range strings.FieldsSeq(text) {
			a := Answer{Text: word[:1]}
			if len(word) > 1 {
				a.Started = time.Unix(int64(word[1]), 0)
				a.Ended = a.Started
			}
			list = append(list, a)
		}
		return list
	}
	for _, tt := range []struct{ older, newer, want string }{
		{"", "", ""}, {"a b", "", "a b"}, {"", "a", "a"}, {"a", "b", "a b"}, {"a b", "b", "a b"}, {"a b", "b c", "a b c"},
		{"a b", "a b c", "a b c"}, {"a b", "a", "a b a"}, {"a a", "a", "a a"}, {"a b c", "d", "a b c d"}, {"b c", "a b c", "a b c"},
		{"a1 b2", "b2 c3", "a b c"}, {"a1 b2", "a3", "a b a"}, {"a1 b2 c3", "x2", "a x"}, {"a1 b2", "b c", "a b c"}, {"a1 a2", "a4", "a a a"},
	} {
		if got := strings.Join(texts(Join(answers(tt.older), answers(tt.newer))), " "); got != tt.want {
			t.Errorf("%q and %q: %q, want %q", tt.older, tt.newer, got, tt.want)
		}
	}
}
