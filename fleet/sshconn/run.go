package sshconn

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
)

// Run starts a session as `ssh` does: a login shell or a command, with a
// pseudo-terminal if wanted. While it has one and stdin is a terminal, that is
// in raw mode, changes of the window's size are passed on, and escape
// sequences work; the terminal is restored on every way out. Forwarded
// connections that are open at the end of the session are waited for.
//
// Errors are those of [Conn.Exec]; also an *[Error] that wraps
// [ErrDisconnected] after the escape.
func (c *Conn) Run(ctx context.Context, o RunOptions) error {
	if o.NoStdin {
		o.Stdin = nil
	}
	if len(o.Command) > maxCommand {
		return c.sessionError(errTooLong)
	}
	local := openTerminal(o.Stdin, o.Stdout)
	pty := o.wantsPTY(local)
	s, err := c.openSession(ctx)
	if err != nil {
		return err
	}
	o.Stderr = &lockedWriter{w: o.Stderr}
	pty, err = s.prepare(ctx, o, pty, local)
	if err != nil {
		s.close()
		return err
	}
	defer c.redirectNotes(func(line string) { _, _ = io.WriteString(o.Stderr, line+"\n") })()
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
	go s.copyStdin(in)
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

// prepare sends what comes before the data, and tells whether the session has a
// pseudo-terminal. Only that and the command wait for an answer; the rest would
// cost a round trip each.
func (s *session) prepare(ctx context.Context, o RunOptions, pty bool, local *terminal) (hasPTY bool, err error) {
	if o.AgentSocket != "" {
		if err := s.conn.forwardAgent(o.AgentSocket); err != nil {
			return false, err
		}
		s.tell("auth-agent-req@openssh.com", nil)
	}
	for _, v := range o.environment() {
		s.tell("env", v)
	}
	if pty {
		if pty, err = s.askPTY(ctx, o, local); err != nil {
			return false, err
		}
	}
	if o.Command == "" {
		return pty, s.request(ctx, "shell", nil)
	}
	return pty, s.request(ctx, "exec", struct{ Command string }{o.Command})
}

// askPTY asks for a pseudo-terminal. A server that gives none (PermitTTY no) is
// not the end: OpenSSH goes on without, with this line (clientloop.c,
// client_status_confirm).
func (s *session) askPTY(ctx context.Context, o RunOptions, local *terminal) (got bool, err error) {
	r := ptyRequest{Term: o.Term, Modes: string([]byte{modeEnd})}
	if local != nil {
		w := local.size()
		r.Columns, r.Rows, r.Width, r.Height = w.Columns, w.Rows, w.Width, w.Height
		r.Modes = string(local.modes())
	}
	err = s.request(ctx, "pty-req", r)
	if !errors.Is(err, ErrRefused) {
		return err == nil, err
	}
	if !o.Quiet {
		_, _ = io.WriteString(o.Stderr, "PTY allocation request failed on channel 0\n")
	}
	return false, nil
}

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
		defer s.conn.redirectNotes(func(line string) { i.print(line) })()
	}
	in := newInput(o.Stdin)
	defer in.stop()
	go i.readTyped(in)
	err := s.wait(ctx, out, o.Stderr)
	if local != nil {
		if cutShort(err) {
			local.leaveScreen(o.Term, out.on.Load())
			if !errors.Is(err, ErrDisconnected) {
				i.print("") // the cursor may be anywhere in a line
			}
		}
		local.restore()
		if !o.Quiet && !o.Lasting {
			i.print("Connection to " + s.conn.name + " closed.")
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

// TTYMode says whether a session has a pseudo-terminal.
type TTYMode int

// The modes, with OpenSSH's flags.
const (
	TTYAuto    TTYMode = iota // for a shell, if stdin is a terminal
	TTYNever                  // -T
	TTYRequest                // -t: if stdin is a terminal, for commands too
	TTYForce                  // -tt: even if stdin is no terminal
)

// RunOptions describes a session as `ssh` starts it.
type RunOptions struct {
	Command string // empty means a login shell
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	NoStdin bool // -n: stdin stays untouched, the command reads an empty one

	TTY    TTYMode
	Term   string            // TERM of the session; only sent with a terminal
	Env    map[string]string // offered to the server, which may ignore it
	Escape rune              // 0 means '~', NoEscape turns escapes off

	// AgentSocket is the path of an ssh-agent's socket that the VM may use
	// (-A). Whoever is root there can sign with the agent's keys meanwhile.
	AgentSocket string

	// OnRaw is told how to put the terminal back when it goes into raw mode.
	// Run does that on every way out of its own; the hook is for the rest
	// (a panic elsewhere, os.Exit). It may be called at any time, repeatedly.
	OnRaw func(restore func())

	// Quiet leaves out "Connection to VM closed." and warnings.
	Quiet bool
	// Lasting leaves out "Connection to VM closed.": the session comes back.
	Lasting bool
}

// wantsPTY decides as OpenSSH's ssh.c does.
func (o RunOptions) wantsPTY(t *terminal) bool {
	switch o.TTY {
	case TTYForce:
		return true
	case TTYNever:
		return false
	case TTYRequest:
		return t != nil
	}
	return o.Command == "" && t != nil && !o.NoStdin
}

// LocaleEnv picks from an environment ("KEY=VALUE" lines) what OpenSSH's
// default configuration on Debian sends: LANG, LC_*, and COLORTERM.
func LocaleEnv(environ []string) map[string]string {
	env := map[string]string{}
	for _, line := range environ {
		k, v, ok := strings.Cut(line, "=")
		if ok && (k == "LANG" || k == "COLORTERM" || strings.HasPrefix(k, "LC_")) {
			env[k] = v
		}
	}
	return env
}

type envVar struct{ Name, Value string }

func (o RunOptions) environment() []envVar {
	var list []envVar
	for k, v := range o.Env {
		if len(k)+len(v) > maxCommand {
			continue
		}
		list = append(list, envVar{k, v})
	}
	slices.SortFunc(list, func(a, b envVar) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
