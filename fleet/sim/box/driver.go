package box

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"

	"mvdan.cc/sh/v3/interp"
)

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
	tty *TTY
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
	sh.s.Stdin = in
	return interp.StdIO(in, sh.s.Stdout, sh.s.Stderr)(sh.runner)
}

// crlfWriter ends lines the way a terminal does.
type crlfWriter struct{ w io.Writer }

func (c *crlfWriter) Write(p []byte) (int, error) {
	if _, err := c.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
