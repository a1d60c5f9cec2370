//go:build unix

package lieutenant

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// longEnd is an agent_end of n MiB, as one that carries images has.
func longEnd(n int) string {
	return `{"type":"agent_end","messages":[{"role":"user","content":"{\"type\":\"agent_end\"}"},{"data":"` + strings.Repeat("iVBORw0KGgo+/AAA", n<<16) + `"}]}` + "\n"
}

// wordy is a text_delta whose delta stands behind n bytes of something else.
func wordy(n int, text string) string {
	return strings.Replace(delta(text), `{"role":"assistant"}`, `{"role":"assistant","content":"`+strings.Repeat("x", n)+`"}`, 1)
}

// TestLongLines: a line of any length is what its beginning says, and not more of it is fetched than that takes.
func TestLongLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		stream  []string
		want    []string
		damaged bool // the last answer
		phase   Phase
		fetched int64
	}{
		{"the end of an answer", []string{started, delta("1"), longEnd(6), started, delta("2"), longEnd(20)}, []string{"1", "2"}, false, PhaseIdle, 5 << 18},
		{"first of all", []string{longEnd(6), started, delta("1"), ended}, []string{"", "1"}, false, PhaseIdle, 5 << 18},
		{"in between", []string{started, delta("1"), `{"type":"tool_execution_end","result":"`, strings.Repeat(`agent_start \"`, 1<<19), `"}` + "\n", delta("2"), ended},
			[]string{"12"}, false, PhaseIdle, 5 << 18},
		{"still being written", []string{started, delta("1"), ended, longEnd(6)[:5<<20]}, []string{"1"}, false, PhaseIdle, 5 << 18},
		{"text behind something long", []string{started, delta("1"), wordy(3<<20, "2"), delta("3"), wordy(200<<10, "4"), ended}, []string{"1234"}, false, PhaseIdle, 5 << 20},
		{"text behind something too long", []string{started, delta("1"), wordy(5<<20, "2"), delta("3"), ended}, []string{"13"}, true, PhaseIdle, 5 << 18},
		{"long text", []string{started, delta(strings.Repeat("y", maxLine/2)), ended}, []string{strings.Repeat("y", maxLine/2)}, false, PhaseIdle, 5 << 20},
		{"no event at all", []string{started, delta("1"), strings.Repeat("x", 5<<20), "\n", delta("2"), ended}, []string{"12"}, true, PhaseIdle, 5 << 18},
		{"something in front of an event", []string{started, delta("1"), strings.Repeat("x", 1<<20), ended}, []string{"1"}, false, PhaseIdle, 2 << 20},
		{"nothing but text for long", []string{started, strings.Repeat(wordy(100<<10, "x"), 20)}, []string{}, false, PhaseWorking, 3 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inShells(t, func(t *testing.T, s *Stream) {
				s.write(t, tt.stream...)
				session(t, s)
				out, err := os.OpenFile(s.paths.out, os.O_WRONLY|os.O_APPEND, 0) // the process, where there is no tmux
				check(t, err)
				defer out.Close()
				metered := &meter{Conn: s.Conn}
				s.Conn = metered
				got, err := answers(t, s, Query{})
				if err != nil || !slices.Equal(texts(got), tt.want) || len(got) > 0 && got[len(got)-1].Damaged != tt.damaged {
					t.Errorf("%d answers, %.100q, %v", len(got), texts(got), err)
				}
				if metered.received > tt.fetched {
					t.Errorf("%d bytes were fetched", metered.received)
				}
				ends := strings.Count(strings.Join(tt.stream, ""), `{"type":"agent_end"`)
				if st, err := s.Status(t.Context(), StatusOptions{Count: true}); err != nil || st.Phase != tt.phase || st.Runs != ends {
					t.Errorf("%+v, %v", st, err)
				}
			}, "sh", "busybox without stat")
		})
	}
}

// TestFollowLongLines: a long line comes in parts, then as the event it is.
func TestFollowLongLines(t *testing.T) {
	s := newStream(t, local{[]string{"sh", "-c"}, os.Environ()})
	stream := started + delta("1") + longEnd(10) + wordy(5<<20, "lost") + delta("2") + ended
	s.write(t, stream)
	var raw bytes.Buffer
	var kinds []Kind
	enough := errors.New("enough")
	err := s.Follow(t.Context(), FollowOptions{}, func(e Event) error {
		if e.Next-int64(len(e.Raw)) != int64(raw.Len()) || len(e.Raw) > maxLine+1<<20 {
			t.Errorf("%s: %d bytes up to %d after %d", e.Kind, len(e.Raw), e.Next, raw.Len())
		}
		raw.Write(e.Raw)
		if e.Kind != KindPart {
			kinds = append(kinds, e.Kind)
		}
		if raw.Len() == len(stream) {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || raw.String() != stream {
		t.Errorf("%d of %d bytes, %v", raw.Len(), len(stream), err)
	}
	if want := []Kind{KindStart, KindText, KindEnd, KindWork, KindText, KindEnd}; !slices.Equal(kinds, want) {
		t.Errorf("%q", kinds)
	}
}

// TestHugeStream reads the end of a stream of 2 GB whose last line is huge itself: with little memory and traffic and, at
// full size, in less than a second, which counts if it is so once on a busy machine.
func TestHugeStream(t *testing.T) {
	size, most := 20, time.Hour
	if os.Getenv("VERS_FLEET_TORTURE") == "1" {
		size, most = 200, time.Second
	}
	end := longEnd(size)
	inShells(t, func(t *testing.T, s *Stream) {
		f, err := os.Create(s.paths.out)
		if err != nil {
			t.Fatal(err)
		}
		if f.Truncate(2<<30) != nil { // a hole, which takes no space
			t.Skip("no large files here")
		}
		_, err = f.Seek(0, io.SeekEnd)
		full := int64(2 << 30)
		for _, text := range []string{"\n", started, delta("the end"), end} {
			_, writeErr := f.WriteString(text) // in one piece it would count as allocated, by the other shells too
			err, full = errors.Join(err, writeErr), full+int64(len(text))
		}
		check(t, errors.Join(err, f.Close()))
		metered := &meter{Conn: s.Conn}
		s.Conn = metered
		took := time.Hour
		for try := 0; try < 5 && (try == 0 || took > most); try++ {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			metered.received = 0
			began := time.Now()
			got, err := answers(t, s, Query{Last: 1})
			took = min(took, time.Since(began))
			runtime.ReadMemStats(&after)
			if err != nil || !slices.Equal(texts(got), []string{"the end"}) || got[0].Damaged {
				t.Fatalf("%+v, %v", got, err)
			}
			allocated := after.TotalAlloc - before.TotalAlloc // the other shells' too, which run beside this one
			t.Logf("a line of %d MB: %s, %d KB fetched, %d KB allocated", size, time.Since(began).Round(time.Millisecond), metered.received>>10, allocated>>10)
			if metered.received > 2<<20 || allocated > 50<<20 {
				t.Errorf("%d KB were fetched, %d MB allocated", metered.received>>10, allocated>>20)
			}
		}
		if took > most {
			t.Errorf("it took %s", took)
		}
		st, err := s.Status(t.Context(), StatusOptions{Count: true})
		if err != nil || st.Phase != PhaseStopped || st.Size != full {
			t.Errorf("%+v, %v", st, err)
		}
	}, "sh", "busybox")
}
