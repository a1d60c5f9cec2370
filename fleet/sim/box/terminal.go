package box

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// terminal runs a session on a terminal: s.Command if it is not empty, else an
// interactive shell with line editing. rw is the terminal's other end; its
// bytes are edited, echoed and turned into Ctrl-C and Ctrl-D here, as a
// kernel's terminal driver would.
func (m *Machine) terminal(ctx context.Context, rw io.ReadWriter, s job) int {
	d := &driver{tty: s.tty, out: &crlfWriter{w: rw}, rw: rw}
	d.wake = sync.NewCond(&d.mu)
	s.stdout, s.stderr = d.out, d.out
	stop := context.AfterFunc(ctx, func() { d.end() })
	defer stop()
	go d.pump() // ends when the client closes the channel
	if s.command != "" {
		return d.command(ctx, func(ctx context.Context, in io.Reader) int {
			s.stdin = in
			return m.run(ctx, s)
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

// tty is the terminal of a session.
type tty struct {
	term string

	sawEOF atomic.Bool // a command met the end of what was typed

	mu         sync.Mutex
	cols, rows int
}

// newTTY makes a terminal of the given kind and size.
func newTTY(term string, cols, rows int) *tty {
	t := &tty{term: term}
	t.resize(cols, rows)
	return t
}

// resize sets the size in characters; zero means the usual 80 by 24.
func (t *tty) resize(cols, rows int) {
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

func (t *tty) size() (cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cols, t.rows
}

// The control characters of a terminal.
const (
	ctrlC     = 3
	ctrlD     = 4
	backspace = 8
	ctrlU     = 21
	ctrlE     = 5
	del       = 127
)

// driver is the kernel's side of a terminal: it decides who gets the bytes
// that a person types. While a prompt is shown they wait for Read; while a
// command runs they are edited by lines into its input.
type driver struct {
	tty *tty
	rw  io.ReadWriter
	out io.Writer

	mu     sync.Mutex
	wake   *sync.Cond
	queue  []byte // typed for the prompt
	line   []byte // typed for the command, not yet ended by Enter
	input  *os.File
	cancel context.CancelFunc // of the running command
	ctrlC  bool               // the prompt's line was given up
	eof    bool               // Ctrl-D closed the command's input
	ended  bool
}

// pump takes in what is typed.
func (d *driver) pump() {
	buf := make([]byte, 4096)
	for {
		n, err := d.rw.Read(buf)
		for _, b := range buf[:n] {
			d.typed(b)
		}
		if err != nil {
			d.end()
			return
		}
	}
}

// end is the hang-up of the terminal.
func (d *driver) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.input != nil {
		_ = d.input.Close()
		d.input = nil
	}
	d.wake.Broadcast()
}

func (d *driver) typed(b byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel == nil {
		if b == ctrlC {
			d.ctrlC = true
			d.queue = append(d.queue, ctrlE, ctrlU, '\r')
		} else {
			d.queue = append(d.queue, b)
		}
		d.wake.Broadcast()
		return
	}
	d.cooked(b)
}

// cooked edits the line that a running command will read.
func (d *driver) cooked(b byte) {
	switch b {
	case ctrlC:
		d.show("^C\r\n")
		d.line = nil
		d.cancel()
	case ctrlD:
		if len(d.line) == 0 && d.input != nil {
			_ = d.input.Close()
			d.input, d.eof = nil, true
		}
		d.feed(d.line)
		d.line = nil
	case del, backspace:
		if len(d.line) > 0 {
			d.line = d.line[:len(d.line)-1]
			d.show("\b \b")
		}
	case ctrlU:
		d.show(string(bytes.Repeat([]byte("\b \b"), len(d.line))))
		d.line = nil
	case '\r', '\n':
		d.show("\r\n")
		d.feed(append(d.line, '\n'))
		d.line = nil
	default:
		d.line = append(d.line, b)
		d.show(string(b))
	}
}

func (d *driver) show(text string) { _, _ = io.WriteString(d.rw, text) }

// feed gives bytes to the running command. Like a terminal's queue the pipe
// has a limit; what does not fit is lost.
func (d *driver) feed(p []byte) {
	if d.input != nil && len(p) > 0 {
		_, _ = d.input.Write(p)
	}
}

// Read gives the prompt what was typed.
func (d *driver) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) == 0 && !d.ended {
		d.wake.Wait()
	}
	if len(d.queue) == 0 {
		return 0, io.EOF
	}
	// One line at a time: what follows belongs to the command it starts.
	n := len(d.queue)
	if i := bytes.IndexAny(d.queue, "\r\n"); i >= 0 {
		n = i + 1
	}
	n = copy(p, d.queue[:n])
	d.queue = d.queue[n:]
	return n, nil
}

// interrupted tells, once, that the line just read was given up with Ctrl-C.
func (d *driver) interrupted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.ctrlC
	d.ctrlC = false
	return was
}

// command runs fn with the terminal as its input, until it ends or Ctrl-C.
// What it did not read stays for the prompt.
func (d *driver) command(ctx context.Context, fn func(context.Context, io.Reader) int) int {
	in, feed, err := os.Pipe()
	if err != nil {
		return 1
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.begin(feed, cancel)
	status := fn(ctx, in)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.input != nil {
		_ = d.input.Close()
	}
	rest, _ := io.ReadAll(in) // a pipe whose other end is closed
	_ = in.Close()
	rest = bytes.ReplaceAll(append(rest, d.line...), []byte("\n"), []byte("\r"))
	if d.eof && !d.tty.sawEOF.Load() {
		rest = append(rest, ctrlD)
	}
	d.queue = append(rest, d.queue...)
	d.line, d.input, d.cancel, d.eof = nil, nil, nil, false
	return status
}

// begin makes feed the place where typed bytes go, what was typed ahead first.
func (d *driver) begin(feed *os.File, cancel context.CancelFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	early := d.queue
	d.queue, d.input, d.cancel = nil, feed, cancel
	d.tty.sawEOF.Store(false)
	for i, b := range early {
		if d.eof { // for whoever reads after this command
			d.queue = early[i:]
			break
		}
		d.cooked(b)
	}
	if d.ended && d.input != nil {
		_ = d.input.Close()
		d.input = nil
	}
}

// setStdin gives the shell's next line its input.
func (sh *shell) setStdin(in io.Reader) error {
	sh.s.stdin = in
	return interp.StdIO(in, sh.s.stdout, sh.s.stderr)(sh.runner)
}

// crlfWriter ends lines the way a terminal does.
type crlfWriter struct{ w io.Writer }

func (c *crlfWriter) Write(p []byte) (int, error) {
	if _, err := c.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
