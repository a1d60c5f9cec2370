//go:build unix

package mux

import (
	"errors"
	"io"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// With MaxSessions 1 the one session goes from one borrower to the next; who comes
// while it is in use is told at once that nothing was begun.
func TestOneSharedSession(t *testing.T) {
	s := shareOf(t, sshd.Options{MaxSessions: 1}, 0, Options{})
	for n := range 20 {
		c := s.borrow(t)
		if err := c.Exec(t.Context(), "true", nil, nil, nil); err != nil {
			t.Fatalf("command %d: %v", n, err)
		}
		_ = c.Close()
	}
	holder := s.borrow(t)
	r, w := io.Pipe()
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- holder.Exec(t.Context(), "echo up; cat", r, writerFunc(func(p []byte) (int, error) { close(started); return len(p), nil }), nil)
	}()
	<-started
	var e *sshconn.Error
	if err := s.borrow(t).Exec(t.Context(), "true", nil, nil, nil); !errors.As(err, &e) || !e.NotStarted {
		t.Errorf("beside another session: %v", err)
	}
	_ = w.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
