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
	} {
		t.Run(tt.name, func(t *testing.T) {
			inShells(t, func(t *testing.T, s *Stream) {
				if _, err := s.Status(t.Context()); !errors.Is(err, ErrNoLieutenant) {
					t.Fatalf("without a stream: %v", err)
				}
				s.write(t, tt.stream)
				want := func(phase Phase) {
					t.Helper()
					st, err := s.Status(t.Context())
					if err != nil || st.Phase != phase || st.Guessed || st.Answers != tt.answers || st.AtLeast || st.Size != int64(len(tt.stream)) {
						t.Errorf("%+v, %v; want %s", st, err, phase)
					}
					if hasStat := !strings.Contains(t.Name(), "without_stat"); hasStat && time.Since(st.LastWrite).Abs() > 10*time.Second {
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
	if st, err := s.Status(t.Context()); err != nil || !st.Since.Equal(hourAgo) {
		t.Errorf("%+v, %v", st, err)
	}
	s.write(t, ended)
	check(t, os.Chtimes(s.paths.out, hourAgo, hourAgo))
	if st, err := s.Status(t.Context()); err != nil || st.Phase != PhaseIdle || st.Since.Sub(hourAgo).Abs() > 2*time.Second {
		t.Errorf("%+v, %v", st, err)
	}
}
