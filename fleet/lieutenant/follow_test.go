//go:build unix

package lieutenant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// follow runs Follow until it has collected the texts wanted, or the time is over.
func follow(t *testing.T, s *Stream, o FollowOptions, want []string, seen func(Event)) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	enough := errors.New("enough")
	err := s.Follow(ctx, o, func(e Event) error {
		if seen != nil {
			seen(e)
		}
		if e.Kind == KindText {
			got = append(got, e.Text)
		}
		if len(got) > len(want) || slices.Equal(got, want) {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("Follow: %v", err)
	}
	return got
}

// unreliable is a Conn whose commands are cut off after a random number of bytes; enough for more than the repeated
// ones.
type unreliable struct {
	Conn
	drops *atomic.Int32
}

// errCutOff is what an unreliable connection fails with.
var errCutOff = errors.New("connection lost")

func (u unreliable) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &cutOff{w: stdout, left: maxTail + rand.IntN(9000), cancel: cancel}
	err := u.Conn.Exec(ctx, cmd, stdin, w, stderr)
	if w.left <= 0 {
		u.drops.Add(1)
		return errCutOff
	}
	return err
}

type cutOff struct {
	w      io.Writer
	left   int
	cancel func()
}

func (c *cutOff) Write(p []byte) (int, error) {
	if len(p) >= c.left {
		p = p[:max(c.left, 0)]
		c.cancel()
	}
	n, err := c.w.Write(p)
	if c.left -= len(p); c.left <= 0 {
		return n, io.ErrClosedPipe
	}
	return n, err
}

// TestFollowThroughReconnects writes in pieces of any size over connections that are cut anywhere.
func TestFollowThroughReconnects(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		var want []string
		var stream strings.Builder
		for i := range 400 {
			text := fmt.Sprintf("%d %s\n", i, strings.Repeat("ü", rand.IntN(200)))
			want = append(want, text)
			stream.WriteString(delta(text))
		}
		go func() {
			for rest := stream.String(); rest != ""; {
				n := min(len(rest), 1+rand.IntN(5000))
				s.write(t, rest[:n])
				rest = rest[n:]
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // lets the follower see halves of lines
			}
		}()
		var drops atomic.Int32
		reliable := s.Conn
		cut := *s
		cut.Conn = unreliable{reliable, &drops}
		next := int64(0)
		got := follow(t, &cut, FollowOptions{
			Redial: func(context.Context) (Conn, error) {
				if drops.Load() > 6 {
					return reliable, nil
				}
				return unreliable{reliable, &drops}, nil
			},
			Dropped: func(err error) {
				if !errors.Is(err, errCutOff) {
					t.Errorf("dropped: %v", err)
				}
			},
		}, want, func(e Event) {
			if e.Kind != KindText || e.Offset != next {
				t.Errorf("%s event at %d, want one at %d", e.Kind, e.Offset, next)
			}
			next = e.Next
		})
		if !slices.Equal(got, want) {
			t.Errorf("got %d pieces, want %d", len(got), len(want))
		}
		if drops.Load() < 3 {
			t.Errorf("only %d connections were cut", drops.Load())
		}
	})
}

func TestFollowFromTheCurrentAnswer(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		s.write(t, started, delta("old"), ended)
		from, err := s.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, started, delta("new"), "half a li")
		if got := follow(t, s, FollowOptions{From: from}, []string{"new"}, nil); !slices.Equal(got, []string{"new"}) {
			t.Errorf("from the end: %q", got)
		}
		if from, err = s.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.write(t, "ne\n", delta("er"))
		if got := follow(t, s, FollowOptions{From: from}, []string{"new", "er"}, nil); !slices.Equal(got, []string{"new", "er"}) {
			t.Errorf("from the beginning of the answer: %q", got)
		}
	})
}

// TestFollowReplacedFile truncates and replaces the file in every way while it is followed.
func TestFollowReplacedFile(t *testing.T) {
	t.Parallel()
	replace := map[string]func(t *testing.T, s *Stream){
		"truncated": func(t *testing.T, s *Stream) {
			check(t, os.Truncate(s.paths.out, 0))
			s.write(t, delta("new"))
		},
		"truncated and grown past the place": func(t *testing.T, s *Stream) {
			text := strings.Repeat(`{"type":"other"}`+"\n", 100000) + delta("new")
			f, err := os.OpenFile(s.paths.out, os.O_WRONLY|os.O_TRUNC, 0)
			check(t, err)
			_, err = f.WriteString(text)
			check(t, errors.Join(err, f.Close()))
		},
		"rotated": func(t *testing.T, s *Stream) {
			check(t, os.Rename(s.paths.out, s.paths.out+".1"))
			s.write(t, delta("new"))
		},
	}
	for name, replace := range replace {
		t.Run(name, func(t *testing.T) {
			inShells(t, func(t *testing.T, s *Stream) {
				s.write(t, delta("old"), `{"type":"half`)
				resets := 0
				got := follow(t, s, FollowOptions{}, []string{"old", "new"}, func(e Event) {
					switch {
					case e.Kind == KindText && e.Text == "old":
						go replace(t, s)
					case e.Kind == KindReset:
						resets++
					case e.Kind == KindGarbage:
						t.Errorf("garbage %q", e.Raw)
					}
				})
				if !slices.Equal(got, []string{"old", "new"}) || resets != 1 {
					t.Errorf("%q with %d resets", got, resets)
				}
			})
		})
	}
}

func TestFollowWaitsForTheFile(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		time.AfterFunc(300*time.Millisecond, func() { s.write(t, delta("first")) })
		if got := follow(t, s, FollowOptions{}, []string{"first"}, nil); !slices.Equal(got, []string{"first"}) {
			t.Errorf("%q", got)
		}
	})
}

func TestFollowEnds(t *testing.T) {
	s := newStream(t, local{[]string{"sh", "-c"}, os.Environ()})
	lost := errors.New("no way back")
	gone := &Stream{Conn: local{[]string{"false"}, nil}, paths: s.paths}
	redials := 0
	err := gone.Follow(t.Context(), FollowOptions{Redial: func(context.Context) (Conn, error) { redials++; return nil, lost }}, nil)
	if !errors.Is(err, lost) || redials != 1 {
		t.Errorf("after %d redials: %v", redials, err)
	}
	if err := gone.Follow(t.Context(), FollowOptions{}, nil); !exited(err) {
		t.Errorf("without Redial: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.write(t, delta("x"))
	err = s.Follow(ctx, FollowOptions{}, func(Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestFollowHealsCutCharacters(t *testing.T) {
	s := newStream(t, local{[]string{"sh", "-c"}, os.Environ()})
	s.write(t, started, strings.Replace(delta("@"), "@", `\\\\ud83d \ud83d`, 1), strings.Replace(delta("@"), "@", `\ude00`, 1))
	want := []string{`\\ud83d `, "😀"}
	if got := follow(t, s, FollowOptions{}, want, nil); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
