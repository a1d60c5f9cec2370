package sshconn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

func TestExec(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	t.Run("streams stay apart", func(t *testing.T) {
		var out, errOut bytes.Buffer
		err := c.Exec(t.Context(), "printf o; printf e >&2; cat", strings.NewReader("in\x00\xff"), &out, &errOut)
		if err != nil || out.String() != "oin\x00\xff" || errOut.String() != "e" {
			t.Fatalf("%v %q %q", err, out.String(), errOut.String())
		}
	})
	t.Run("status", func(t *testing.T) {
		var exit *ExitError
		if err := c.Exec(t.Context(), "exit 42", nil, nil, nil); !errors.As(err, &exit) || exit.ExitStatus() != 42 {
			t.Fatal(err)
		}
	})
	t.Run("signal", func(t *testing.T) {
		var exit *ExitError
		err := c.Exec(t.Context(), "kill -9 $$", nil, nil, nil)
		if !errors.As(err, &exit) || exit.Signal != "KILL" || exit.ExitStatus() != 137 {
			t.Fatal(err)
		}
	})
	t.Run("an open stdin does not hold the command", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		if err := c.Exec(within(t, time.Minute), "true", r, nil, nil); err != nil {
			t.Fatal(err)
		}
		_, _ = w.WriteString("kept")
		b := make([]byte, 8)
		if n, err := r.Read(b); err != nil || string(b[:n]) != "kept" {
			t.Fatalf("a byte was taken after the end: %q %v", b[:n], err)
		}
	})
	t.Run("an open stdin that is no file", func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		if err := c.Exec(within(t, time.Minute), "true", r, nil, nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		errs := make(chan error, 8)
		for range 8 {
			go func() { errs <- c.Exec(t.Context(), "true", nil, nil, nil) }()
		}
		for range 8 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestExecBinaryBothWays(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	data := make([]byte, 8<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	var out bytes.Buffer
	if err := c.Exec(t.Context(), "cat", bytes.NewReader(data), &out, nil); err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(data) != sha256.Sum256(out.Bytes()) {
		t.Fatalf("%d bytes went, others came: %d", len(data), out.Len())
	}
}

func TestExecBackPressure(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- c.Exec(t.Context(), "head -c 33554432 /dev/zero; echo done >&2", nil, w, nil) }()
	// Nobody reads: the command must still be writing, held back by the window.
	select {
	case err := <-ended:
		t.Fatal("the command ended although nobody read its output", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := c.Exec(within(t, time.Minute), "true", nil, nil, nil); err != nil {
		t.Fatal("a stuck session blocks another one", err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, 32<<20))
	if err != nil || n != 32<<20 {
		t.Fatal(n, err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestExecCancelled(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- c.Exec(ctx, "echo up; exec cat", blockedReader(t), signalWriter{started}, nil) }()
	<-started
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := c.Exec(t.Context(), "true", nil, nil, nil); err != nil {
		t.Fatal("the connection did not survive", err)
	}
}

// blockedReader is a stdin on which nobody types.
func blockedReader(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	return r
}

type signalWriter struct{ c chan struct{} }

func (s signalWriter) Write(p []byte) (int, error) { close(s.c); return len(p), nil }

func TestExecWriterFails(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	broken := errors.New("disk full")
	err := c.Exec(within(t, time.Minute), "yes", nil, failingWriter{broken}, nil)
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestExecConnectionLost(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	c := v.dial(t)
	started := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- c.Exec(t.Context(), "echo up; sleep 600", nil, signalWriter{started}, nil) }()
	<-started
	c.wire.raw.Close()
	err := <-ended
	if !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	if err := c.Wait(); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	if err := c.Exec(t.Context(), "true", nil, nil, nil); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
}

func TestSubsystem(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	rw, err := c.OpenSubsystem(t.Context(), "sftp")
	if err != nil {
		t.Fatal(err)
	}
	// SSH_FXP_INIT, version 3; the answer is SSH_FXP_VERSION.
	if _, err := rw.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3}); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 9)
	if _, err := io.ReadFull(rw, head); err != nil || head[4] != 2 {
		t.Fatal(head, err)
	}
	if err := rw.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, rw); err != nil {
		t.Fatal(err)
	}
	if _, err := c.OpenSubsystem(t.Context(), "no-such-thing"); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if rw, err = c.OpenSubsystem(ctx, "sftp"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := rw.Read(head); err != io.EOF {
		t.Fatal(err)
	}
}

func TestSessionLimit(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{MaxSessions: 2}).dial(t)
	for range 2 {
		if _, err := c.OpenSubsystem(t.Context(), "sftp"); err != nil {
			t.Fatal(err)
		}
	}
	err := c.Exec(t.Context(), "true", nil, nil, nil)
	var e *Error
	if !errors.Is(err, ErrSessionLimit) || !errors.As(err, &e) || !e.Transient() {
		t.Fatal(err)
	}
}
