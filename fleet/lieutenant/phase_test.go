//go:build unix

package lieutenant

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		stream      string
		alive, gone Phase
		answers     int
	}{
		{"nothing said yet", "", PhaseIdle, PhaseStopped, 0},
		{"idle", started + delta("1") + ended, PhaseIdle, PhaseStopped, 1},
		{"idle, asked for its state", started + ended + started + ended + `{"type":"response"}` + "\n", PhaseIdle, PhaseStopped, 2},
		{"just begun", started + ended + started, PhaseWorking, PhaseCrashed, 1},
		{"writing", started + ended + started + delta("2"), PhaseWorking, PhaseCrashed, 1},
		{"working silently", started + strings.Repeat(`{"type":"tool_execution_update"}`+"\n", 30000), PhaseWorking, PhaseCrashed, 0},
		{"killed while writing", started + delta("1") + ended + started + ended[:9], PhaseWorking, PhaseCrashed, 1},
		{"failed", started + failedEnd("overloaded"), PhaseFailed, PhaseFailed, 1},
		{"retrying", started + failedEnd("overloaded") + retryStart, PhaseRetrying, PhaseCrashed, 1},
		{"retries given up", started + failedEnd("x") + retryStart + started + failedEnd("overloaded") + retryEnd, PhaseFailed, PhaseFailed, 2},
		{"waiting", started + question("confirm", `"title":"Sure?"`), PhaseWaiting, PhaseCrashed, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inShells(t, func(t *testing.T, s *Stream) {
				if _, err := s.Status(t.Context(), StatusOptions{Count: true}); !errors.Is(err, ErrNoLieutenant) {
					t.Fatalf("without a stream: %v", err)
				}
				s.write(t, tt.stream)
				want := func(phase Phase) {
					t.Helper()
					st, err := s.Status(t.Context(), StatusOptions{Count: true})
					if err != nil || st.Phase != phase || st.Guessed || st.Runs != tt.answers || st.AtLeast || st.Size != int64(len(tt.stream)) {
						t.Errorf("%+v, %v; want %s", st, err, phase)
					}
					if hasStat := !strings.Contains(t.Name(), "without_stat"); hasStat && time.Since(st.LastWrite).Abs() > time.Minute {
						t.Errorf("last write %s", st.LastWrite)
					}
				}
				want(tt.gone)
				session(t, s)
				out, err := os.OpenFile(s.paths.out, os.O_WRONLY|os.O_APPEND, 0) // the process, where there is no tmux
				check(t, err)
				defer out.Close()
				want(tt.alive)
			}, "sh", "busybox")
		})
	}
}

func TestStatusTimes(t *testing.T) {
	s := newStream(t, local{[]string{"sh", "-c"}, tmuxEnv(t)})
	session(t, s)
	hourAgo := time.Now().Add(-time.Hour).Truncate(time.Second)
	s.write(t, strings.Replace(started, "{", `{"timestamp":`+jsonString(hourAgo.Format(time.RFC3339))+",", 1), delta("x"))
	if st, err := s.Status(t.Context(), StatusOptions{Count: true}); err != nil || !st.Since.Equal(hourAgo) {
		t.Errorf("%+v, %v", st, err)
	}
	s.write(t, ended)
	check(t, os.Chtimes(s.paths.out, hourAgo, hourAgo))
	if st, err := s.Status(t.Context(), StatusOptions{Count: true}); err != nil || st.Phase != PhaseIdle || st.Since.Sub(hourAgo).Abs() > 2*time.Second {
		t.Errorf("%+v, %v", st, err)
	}
}

func failedEnd(why string) string {
	return `{"type":"agent_end","messages":[{"role":"assistant","content":[],"stopReason":"error","errorMessage":` + jsonString(why) + "}]}\n"
}

const (
	retryStart = `{"type":"auto_retry_start","attempt":1,"maxAttempts":3,"delayMs":2000,"errorMessage":"overloaded"}` + "\n"
	retryEnd   = `{"type":"auto_retry_end","success":false,"attempt":1,"finalError":"overloaded"}` + "\n"
)

func question(method, fields string) string {
	return `{"type":"extension_ui_request","id":"q-1","method":"` + method + `",` + fields + "}\n"
}

// TestQuietStream: what depends on for how long nothing was written.
func TestQuietStream(t *testing.T) {
	s := newStream(t, local{[]string{"sh", "-c"}, tmuxEnv(t)})
	session(t, s)
	for _, tt := range []struct {
		name    string
		stream  string
		quiet   time.Duration
		phase   Phase
		settled bool
		text    string
	}{
		{"at work", started, 9 * time.Minute, PhaseWorking, false, ""},
		{"silent", started + delta("x"), 11 * time.Minute, PhaseSilent, false, "no event for 11m"},
		{"idle", started + ended, time.Hour, PhaseIdle, true, ""},
		{"failed a moment ago", started + failedEnd("overloaded"), time.Second, PhaseFailed, false, "overloaded"},
		{"failed", started + failedEnd("over\nloaded\x1b[2J"), 10 * time.Second, PhaseFailed, true, "over loaded[2J"},
		{"will try again", started + strings.Replace(failedEnd("x"), "}]}", `}],"willRetry":true}`, 1), time.Minute, PhaseRetrying, false, "another attempt after: x"},
		{"will not", started + strings.Replace(failedEnd("x"), "}]}", `}],"willRetry":false}`, 1), 0, PhaseFailed, true, "x"},
		{"waits for a try", strings.Replace(retryStart, "2000", "600000", 1), 15 * time.Minute, PhaseRetrying, false, "attempt 1 of 3 after: overloaded"},
		{"that does not come", strings.Replace(retryStart, "2000", "600000", 1), 25 * time.Minute, PhaseSilent, false, "no event for 25m"},
		{"waiting for long", started + question("select", `"title":"Which?","options":["a","b"]`), time.Hour, PhaseWaiting, false, "Which? (a, b)"},
		{"a dialog that ends by itself", started + question("confirm", `"title":"Sure?","message":"All is lost.","timeout":60000`), 30 * time.Second, PhaseWaiting, false, "Sure? All is lost."},
		{"and has", started + question("confirm", `"title":"Sure?","timeout":60000`), 2 * time.Minute, PhaseWorking, false, ""},
		{"went on", started + question("input", `"title":"Name?"`) + delta("x"), 0, PhaseWorking, false, ""},
		{"only told something", started + ended + question("notify", `"message":"x"`), 0, PhaseIdle, true, ""},
		{"settled", started + failedEnd("x") + `{"type":"agent_settled"}` + "\n", 0, PhaseFailed, true, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, os.WriteFile(s.paths.out, []byte(tt.stream), 0o600))
			at := time.Now().Add(-tt.quiet)
			check(t, os.Chtimes(s.paths.out, at, at))
			st, err := s.Status(t.Context(), StatusOptions{SilentAfter: 10 * time.Minute})
			if err != nil || st.Phase != tt.phase || st.Settled != tt.settled || !strings.HasPrefix(st.Text, tt.text) || tt.text == "" && st.Text != "" {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
	st, err := s.Status(t.Context(), StatusOptions{Count: true})
	if err != nil || st.Since.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestAnsweredQuestion(t *testing.T) {
	s := newStream(t, local{[]string{"sh", "-c"}, tmuxEnv(t)})
	session(t, s)
	s.write(t, started, question("confirm", `"title":"Sure?"`))
	if st, err := s.Status(t.Context(), StatusOptions{Count: true}); err != nil || st.Question == nil || st.Question.ID != "q-1" || st.Question.Method != "confirm" {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err := s.Status(t.Context(), StatusOptions{Answered: []string{"q-1"}}); err != nil || st.Phase != PhaseWorking || st.Question != nil {
		t.Errorf("answered: %+v, %v", st, err)
	}
}

func TestReply(t *testing.T) {
	options := []string{"Allow", "Block"}
	for _, tt := range []struct {
		q    Question
		text string
		want string // "" = refused
	}{
		{Question{ID: "1", Method: "select", Options: options}, "Allow", `"value":"Allow"`},
		{Question{ID: "1", Method: "select", Options: options}, " block ", `"value":"Block"`},
		{Question{ID: "1", Method: "select", Options: options}, "maybe", ""},
		{Question{ID: "1", Method: "select"}, "x", ""},
		{Question{ID: "1", Method: "confirm"}, "Yes", `"confirmed":true`},
		{Question{ID: "1", Method: "confirm"}, "n", `"confirmed":false`},
		{Question{ID: "1", Method: "confirm"}, "perhaps", ""},
		{Question{ID: "1", Method: "input"}, "two\nlines", `"value":"two\nlines"`},
		{Question{ID: "1", Method: "editor"}, "", ""},
	} {
		m, err := tt.q.Reply(tt.text)
		line := []byte{}
		if err == nil {
			line, err = m.line()
		}
		if tt.want == "" != errors.Is(err, ErrBadMessage) || !strings.Contains(string(line), tt.want) {
			t.Errorf("%s %q: %s, %v", tt.q.Method, tt.text, line, err)
		}
	}
}
