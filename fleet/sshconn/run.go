package sshconn

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
)

// Run starts a session as `ssh` does: a login shell or a command, with a
// pseudo-terminal if wanted. While it has one and stdin is a terminal, that is
// in raw mode, changes of the window's size are passed on, and escape
// sequences work; the terminal is restored on every way out. Forwarded
// connections that are open at the end of the session are waited for.
//
// Errors are those of [Conn.Exec]; also an *[Error] that wraps
// [ErrDisconnected] after the escape, and a [SignalError] when a signal ended
// the session.
func (c *Conn) Run(ctx context.Context, o RunOptions) error {
	if o.NoStdin {
		o.Stdin = nil
	}
	if len(o.Command) > maxCommand {
		return c.sessionError(ErrTooLong)
	}
	local := openTerminal(o.Stdin, o.Stdout)
	pty := o.wantsPTY(local)
	s, err := c.openSession(ctx)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, o, pty, local); err != nil {
		s.close()
		return err
	}
	o.Stderr = &lockedWriter{w: o.Stderr}
	defer c.tellMeanwhile(func(line string) { _, _ = io.WriteString(o.Stderr, line+"\n") })()
	if pty {
		err = s.interact(ctx, o, local)
	} else {
		err = s.stream(ctx, o)
	}
	if !cutShort(err) {
		c.drain(ctx)
	}
	return err
}

// stream carries a session without a pseudo-terminal.
func (s *session) stream(ctx context.Context, o RunOptions) error {
	in := newInput(o.Stdin)
	defer in.stop()
	go s.feed(in)
	return s.wait(ctx, o.Stdout, o.Stderr)
}

// ptyRequest is RFC 4254 section 6.2.
type ptyRequest struct {
	Term    string
	Columns uint32
	Rows    uint32
	Width   uint32
	Height  uint32
	Modes   string
}

// prepare sends what comes before the data. Only the terminal and the command
// wait for an answer; the rest would cost a round trip each.
func (s *session) prepare(ctx context.Context, o RunOptions, pty bool, local *terminal) error {
	if o.AgentSocket != "" {
		if err := s.conn.forwardAgent(o.AgentSocket); err != nil {
			return err
		}
		s.tell("auth-agent-req@openssh.com", nil)
	}
	for _, v := range o.environment() {
		s.tell("env", v)
	}
	if pty {
		r := ptyRequest{Term: o.Term, Modes: string([]byte{modeEnd})}
		if local != nil {
			w := local.size()
			r.Columns, r.Rows, r.Width, r.Height = w.Columns, w.Rows, w.Width, w.Height
			r.Modes = string(local.modes())
		}
		if err := s.request(ctx, "pty-req", r); err != nil {
			return err
		}
	}
	if o.Command == "" {
		return s.request(ctx, "shell", nil)
	}
	return s.request(ctx, "exec", struct{ Command string }{o.Command})
}

// SignalError says that a signal to this process ended the session.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e *SignalError) Error() string { return "ended by signal: " + e.Signal.String() }

// interact carries a session with a pseudo-terminal.
func (s *session) interact(ctx context.Context, o RunOptions, local *terminal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	i := &interaction{session: s, cancel: cancel, message: o.Stderr, local: local}
	out := &altScreen{w: o.Stdout}
	if local != nil {
		if err := local.raw(); err != nil {
			s.close()
			return err
		}
		defer local.prepareOutput()()
		defer local.restore()
		if o.OnRaw != nil {
			o.OnRaw(local.restore)
		}
		defer i.watch()()
		i.escape = newEscaper(o.Escape)
		defer s.conn.tellMeanwhile(func(line string) { i.say(line) })()
	}
	in := newInput(o.Stdin)
	defer in.stop()
	go i.feed(in)
	err := s.wait(ctx, out, o.Stderr)
	if local != nil {
		if cutShort(err) {
			local.leaveScreen(o.Term, out.on.Load())
			if !errors.Is(err, ErrDisconnected) {
				i.say("") // the cursor may be anywhere in a line
			}
		}
		local.restore()
		if !o.Quiet {
			i.say("Connection to " + s.conn.name + " closed.")
		}
	}
	return err
}

// lockedWriter is the stderr that the VM and the program itself both write to.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes p in one piece.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w == nil {
		return len(p), nil
	}
	return l.w.Write(p)
}
