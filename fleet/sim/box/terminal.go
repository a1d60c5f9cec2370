package box

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/syntax"
)

// Terminal runs a session on a terminal: s.Command if it is not empty, else an
// interactive shell with line editing. rw is the terminal's other end; its
// bytes are edited, echoed and turned into Ctrl-C and Ctrl-D here, as a
// kernel's terminal driver would.
func (m *Machine) Terminal(ctx context.Context, rw io.ReadWriter, s Session) int {
	d := &driver{tty: s.TTY, out: &crlfWriter{w: rw}, rw: rw}
	d.wake = sync.NewCond(&d.mu)
	s.Stdout, s.Stderr = d.out, d.out
	stop := context.AfterFunc(ctx, func() { d.end() })
	defer stop()
	go d.pump() // ends when the client closes the channel
	if s.Command != "" {
		return d.command(ctx, func(ctx context.Context, in io.Reader) int {
			s.Stdin = in
			return m.Run(ctx, s)
		})
	}
	sh, err := m.newShell(s)
	if err != nil {
		_, _ = io.WriteString(d.out, "sh: "+err.Error()+"\n")
		return 1
	}
	return d.interact(ctx, sh)
}

// interact reads command lines and runs them until the shell ends.
func (d *driver) interact(ctx context.Context, sh *shell) int {
	prompt := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{d, d.rw}, "")
	_, _ = io.WriteString(d.out, "This is a simulated VM of vers-fleet: nothing here touches your machine.\n")
	status := 0
	text := ""
	for ctx.Err() == nil {
		prompt.SetPrompt(sh.prompt(text != ""))
		if cols, rows := d.tty.size(); true {
			_ = prompt.SetSize(cols, rows)
		}
		line, err := prompt.ReadLine()
		if d.interrupted() {
			text = ""
			continue
		}
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			_, _ = io.WriteString(d.out, "exit\n")
			return status
		}
		text += line + "\n"
		file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
		if err != nil && syntax.IsIncomplete(err) {
			continue
		}
		text = ""
		if err == nil && forbidden(file) {
			err = errors.New("process substitution: not available in the simulator")
		}
		if err != nil {
			_, _ = io.WriteString(d.out, "sh: "+err.Error()+"\n")
			status = 2
			continue
		}
		var exited bool
		status = d.command(ctx, func(ctx context.Context, in io.Reader) int {
			st, done := sh.line(ctx, in, file.Stmts)
			exited = done
			return st
		})
		if exited {
			return status
		}
	}
	return status
}

// line runs one line's statements in the shell, which keeps its variables.
func (sh *shell) line(ctx context.Context, in io.Reader, stmts []*syntax.Stmt) (status int, exited bool) {
	if err := sh.setStdin(in); err != nil {
		return 1, true
	}
	for _, stmt := range stmts {
		status = sh.run(ctx, stmt)
		if ctx.Err() != nil || sh.runner.Exited() {
			break
		}
	}
	return status, ctx.Err() == nil && sh.runner.Exited()
}

// prompt is what Debian's root sees.
func (sh *shell) prompt(more bool) string {
	if more {
		return "> "
	}
	dir := sh.runner.Dir
	if dir == "/root" {
		dir = "~"
	} else if rest, found := strings.CutPrefix(dir, "/root/"); found {
		dir = "~/" + rest
	}
	return "root@" + sh.m.Hostname + ":" + dir + "# "
}

// TTY is the terminal of a session.
type TTY struct {
	Term string

	sawEOF atomic.Bool // a command met the end of what was typed

	mu         sync.Mutex
	cols, rows int
}

// NewTTY makes a terminal of the given kind and size.
func NewTTY(term string, cols, rows int) *TTY {
	t := &TTY{Term: term}
	t.Resize(cols, rows)
	return t
}

// Resize sets the size in characters; zero means the usual 80 by 24.
func (t *TTY) Resize(cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cols, t.rows = cols, rows
	if cols <= 0 {
		t.cols = 80
	}
	if rows <= 0 {
		t.rows = 24
	}
}

func (t *TTY) size() (cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cols, t.rows
}
