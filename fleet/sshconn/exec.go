package sshconn

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
	"time"
)

// Exec runs a command on the VM without a terminal. The command is a line for
// the login shell there. stdin is streamed and its EOF passed on; nil means
// empty. stdout and stderr stay apart and are binary-clean; nil discards. A
// slow writer slows the command down, memory stays bounded (about 2 MiB, the
// window of the channel).
//
// When the command ends, Exec returns without waiting for a stdin that is
// still open, and takes no further byte of it if it is a file on Unix. Other
// readers may lose what was read ahead, and the reading goroutine lives until
// its Read returns.
//
// Errors: *[ExitError] if the status was not 0, *[Error] with StageSession
// when the connection was lost, the writer's own error when writing failed
// (the command is then abandoned), or ctx's error. An abandoned command has its
// channel closed and SIGTERM sent, which OpenSSH's sshd obeys for other users
// than root only (session.c, session_signal_req).
func (c *Conn) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(cmd) > maxCommand {
		return c.sessionError(errTooLong)
	}
	s, err := c.openSession(ctx)
	if err != nil {
		return err
	}
	if err := s.request(ctx, "exec", struct{ Command string }{cmd}); err != nil {
		s.close()
		return err
	}
	in := newInput(stdin)
	defer in.stop()
	go s.copyStdin(in)
	return s.wait(ctx, stdout, stderr)
}

// maxCommand is Linux's limit for one argument (MAX_ARG_STRLEN), and well
// below what the SSH library can put into a packet.
const maxCommand = 128<<10 - 1

// copyStdin copies stdin to the command and closes its stdin at EOF, or when
// reading fails: a command must not wait for input that will not come.
func (s *session) copyStdin(in io.Reader) {
	_, _ = io.Copy(onlyWriter{s.ch}, in)
	_ = s.ch.CloseWrite()
}

// onlyWriter hides ReadFrom and the like from io.Copy.
type onlyWriter struct{ io.Writer }

// wait copies the output until the command has ended.
func (s *session) wait(ctx context.Context, stdout, stderr io.Writer) error {
	out, errOut := newGate(stdout), newGate(stderr)
	defer out.shut()
	defer errOut.shut()
	copied := make(chan error, 2)
	copyTo := func(w io.Writer, r io.Reader) {
		_, err := io.Copy(w, r)
		copied <- err
	}
	go copyTo(out, s.ch)
	go copyTo(errOut, s.ch.Stderr())
	for range 2 {
		select {
		case err := <-copied:
			if err != nil {
				s.abandon()
				return err
			}
		case <-ctx.Done():
			s.abandon()
			return context.Cause(ctx)
		}
	}
	select {
	case exit := <-s.exit:
		s.close()
		return s.result(exit)
	case <-ctx.Done():
		s.abandon()
		return context.Cause(ctx)
	}
}

// result tells a lost connection from a command without a status.
func (s *session) result(exit *ExitError) error {
	if exit == nil {
		return nil
	}
	if exit.Status < 0 && exit.Signal == "" && !s.conn.alive() {
		return s.conn.lost()
	}
	return exit
}

// shutWait is how long a gate waits for a write that is under way.
const shutWait = time.Second

// gate passes writes on until it is shut, so that nothing touches a caller's
// writer after the call has returned.
type gate struct {
	mu   sync.Mutex
	w    io.Writer
	open bool
}

func newGate(w io.Writer) *gate {
	if w == nil {
		w = io.Discard
	}
	return &gate{w: w, open: true}
}

// Write passes p on; after shut it swallows it.
func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open {
		return len(p), nil
	}
	return g.w.Write(p)
}

// shut waits a moment for a write in progress. A writer that blocks for ever
// must not keep a cancelled call.
func (g *gate) shut() {
	closed := make(chan struct{})
	go func() {
		g.mu.Lock()
		g.open = false
		g.mu.Unlock()
		close(closed)
	}()
	timer := time.NewTimer(shutWait)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
}

// input is a stdin whose reading can be stopped. After stop has returned, no
// further byte is taken from it, if the platform and the reader allow it.
type input interface {
	io.Reader
	stop()
}

// newInput wraps a command's stdin; nil is empty.
func newInput(r io.Reader) input {
	if r == nil {
		return plainInput{bytes.NewReader(nil)}
	}
	if f, ok := r.(*os.File); ok {
		if in, err := newFileInput(f); err == nil {
			return in
		}
	}
	return plainInput{r}
}

// plainInput cannot be stopped.
type plainInput struct{ io.Reader }

func (plainInput) stop() {}
