package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// fake is a connection whose commands are functions.
type fake func(ctx context.Context, stdin io.Reader, stdout io.Writer) error

func (f fake) Exec(ctx context.Context, _ string, stdin io.Reader, stdout, _ io.Writer) error {
	return f(ctx, stdin, stdout)
}

func (f fake) OpenSubsystem(context.Context, string) (io.ReadWriteCloser, error) {
	return nil, errors.New("no subsystem")
}

func (f fake) Ping(context.Context) error { return nil }

type status struct{}

func (status) Error() string   { return "exit status 3" }
func (status) ExitStatus() int { return 3 }

// What a login shell prints first is skipped; if nothing else comes, it ends.
func TestReady(t *testing.T) {
	for noise, ok := range map[string]bool{
		"":                          true,
		"Welcome!\nprompt\x00$ ":    true,
		strings.Repeat("x", 200000): true,
		strings.Repeat("x", 400000): false,
	} {
		s := NewConn(fake(func(_ context.Context, stdin io.Reader, stdout io.Writer) error {
			first := make([]byte, len(safe.Prelude))
			if _, err := io.ReadFull(stdin, first); err != nil || string(first) != safe.Prelude {
				t.Errorf("stdin begins with %q, %v", first, err)
			}
			_, _ = io.WriteString(stdout, noise+Ready)
			_, err := io.Copy(stdout, stdin)
			return err
		})).Start(t.Context(), "")
		s.Items("a", "b")
		err := s.Ready()
		if ok != (err == nil) || (!ok && !errors.Is(err, ErrNoise)) {
			t.Errorf("%d bytes of noise: %v", len(noise), err)
		}
		if got, _ := io.ReadAll(s.Out); ok && string(got) != "a\x00b\x00" {
			t.Errorf("the answer: %q", got)
		}
		s.Stop()
	}
}

// How a command ended tells the connection's trouble from its own.
func TestIsDrop(t *testing.T) {
	cut := errors.New("connection reset")
	for err, drop := range map[error]bool{nil: false, status{}: false, cut: true} {
		s := NewConn(fake(func(context.Context, io.Reader, io.Writer) error { return err })).Start(t.Context(), "")
		got := s.Ready()
		if IsDrop(got) != drop || got == nil {
			t.Errorf("a command that ended with %v: %v, a drop: %v", err, got, IsDrop(got))
		}
		s.Stop()
	}
	for _, err := range []error{nil, io.EOF, io.ErrUnexpectedEOF, ErrStopped, ErrNoise, BadAnswer{cut}} {
		if IsDrop(err) {
			t.Errorf("%v is a drop", err)
		}
	}
}

// A VM that says nothing is given up, unless nothing is expected of it.
func TestSilence(t *testing.T) {
	const stallLimit = Patience
	for _, quiet := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := NewConn(fake(func(ctx context.Context, _ io.Reader, _ io.Writer) error {
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(10 * stallLimit):
					return nil
				}
			}))
			s := c.Start(t.Context(), "")
			if quiet {
				s.Rest()
			}
			began := time.Now()
			err := s.Wait()
			took := time.Since(began)
			if quiet != (err == nil) || (!quiet && (!errors.Is(err, ErrStalled) || took > 2*stallLimit)) {
				t.Errorf("quiet %v: %v after %v", quiet, err, took)
			}
			s.Stop()
		})
	}
}

// More sessions than a connection carries wait for their turn.
func TestSessionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most := make(chan struct{}, 100), 0
		c := NewConn(fake(func(_ context.Context, stdin io.Reader, _ io.Writer) error {
			running <- struct{}{}
			_, err := io.Copy(io.Discard, stdin)
			<-running
			return err
		}))
		var all []*Session
		for range 3 * maxSessions {
			all = append(all, c.Start(t.Context(), ""))
		}
		for _, s := range all {
			synctest.Wait()
			most = max(most, len(running))
			_ = s.In.Close()
		}
		for _, s := range all {
			if err := s.Wait(); err != nil {
				t.Error(err)
			}
			s.Stop()
		}
		if most != maxSessions {
			t.Errorf("%d at a time", most)
		}
	})
}

// A script that would get too many names for one command is not run at all.
func TestScriptOfTooMany(t *testing.T) {
	var sent atomic.Int64
	c := NewConn(fake(func(_ context.Context, in io.Reader, _ io.Writer) error {
		n, err := io.Copy(io.Discard, in)
		sent.Add(n)
		return err
	}))
	s := c.Script(t.Context(), "echo", slices.Repeat([]string{strings.Repeat("x", 99)}, 400)...)
	if err := s.Ready(); !errors.Is(err, errTooMany) || IsDrop(err) {
		t.Error(err)
	}
	if s.Stop(); sent.Load() > int64(len(safe.Prelude)) {
		t.Errorf("%d bytes were sent", sent.Load())
	}
}

// Where the server opens no further session, the next has a connection of its own,
// which is closed with it; what it reads is whole.
func TestSessionBeyondTheServersLimit(t *testing.T) {
	echo := fake(func(_ context.Context, stdin io.Reader, stdout io.Writer) error {
		_, _ = io.WriteString(stdout, Ready)
		_, err := io.Copy(stdout, stdin)
		return err
	})
	refuses := fake(func(context.Context, io.Reader, io.Writer) error { return fmt.Errorf("%w: test", ErrNoSession) })
	var closed atomic.Int64
	c := NewConn(refuses).Further(func(context.Context) (Transport, error) { return closing{echo, &closed}, nil })
	s := c.Start(t.Context(), "")
	s.Items("a")
	err := s.Ready()
	if got, _ := io.ReadAll(s.Out); err != nil || string(got) != safe.Prelude+"a\x00" || !c.Full() {
		t.Errorf("%q, %v", got, err)
	}
	if s.Stop(); closed.Load() != 1 {
		t.Errorf("closed %d times", closed.Load())
	}
	s = NewConn(refuses).Start(t.Context(), "")
	if err := s.Ready(); !errors.Is(err, ErrNoSession) {
		t.Errorf("without further connections: %v", err)
	}
	s.Stop()
}

// closing counts how often it is closed.
type closing struct {
	fake
	closed *atomic.Int64
}

func (c closing) Close() error {
	c.closed.Add(1)
	return nil
}
