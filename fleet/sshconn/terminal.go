package sshconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
)

// terminal is the local terminal of an interactive session.
type terminal struct {
	in, out *os.File
	inFD    int
	sizeFD  int

	mu    sync.Mutex
	saved *term.State // set while raw
}

// openTerminal returns nil unless stdin is a terminal.
func openTerminal(stdin io.Reader, stdout io.Writer) *terminal {
	in, fd := asTerminal(stdin)
	if in == nil {
		return nil
	}
	t := &terminal{in: in, inFD: fd, sizeFD: fd}
	if out, fd := asTerminal(stdout); out != nil {
		t.out, t.sizeFD = out, fd
	}
	return t
}

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(x any) bool {
	f, _ := asTerminal(x)
	return f != nil
}

// asTerminal returns the file and its descriptor if x is a terminal, or a
// writer around one that has a method File. It leaves the descriptor's blocking
// mode alone, which File.Fd would not.
func asTerminal(x any) (*os.File, int) {
	if w, ok := x.(interface{ File() *os.File }); ok {
		x = w.File()
	}
	f, ok := x.(*os.File)
	if !ok || f == nil {
		return nil, 0
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, 0
	}
	n := -1
	if raw.Control(func(fd uintptr) { n = int(fd) }) != nil || !term.IsTerminal(n) {
		return nil, 0
	}
	return f, n
}

// raw puts the terminal into raw mode; it may be called again after restore.
func (t *terminal) raw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.saved != nil {
		return nil
	}
	saved, err := term.MakeRaw(t.inFD)
	if err != nil {
		return err
	}
	t.saved = saved
	return nil
}

// rawAgain repeats raw mode after the program was stopped and continued: the
// shell may have changed the modes in between.
func (t *terminal) rawAgain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.saved != nil {
		_, _ = term.MakeRaw(t.inFD)
	}
}

// restore puts the terminal back as it was. It may be called any number of
// times, from any goroutine.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.saved == nil {
		return
	}
	_ = term.Restore(t.inFD, t.saved)
	t.saved = nil
}

// windowSize is a terminal's size in characters and pixels (0: unknown).
type windowSize struct{ Columns, Rows, Width, Height uint32 }

// Opcodes of the encoded terminal modes (RFC 4254 section 8).
const (
	modeEnd    = 0
	modeISpeed = 128
	modeOSpeed = 129
)

// speed is told to the server; nothing on a pseudo-terminal depends on it.
const speed = 38400

// encodeModes writes opcode-value pairs in a fixed order.
func encodeModes(values map[byte]uint32) []byte {
	ops := make([]byte, 0, len(values))
	for op := range values {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	var b []byte
	put := func(op byte, v uint32) { b = binary.BigEndian.AppendUint32(append(b, op), v) }
	put(modeOSpeed, speed)
	put(modeISpeed, speed)
	for _, op := range ops {
		put(op, values[op])
	}
	return append(b, modeEnd)
}

// altScreen passes output on and notes whether a program has switched the
// terminal to its other screen (xterm's ctlseqs, private mode 1049).
type altScreen struct {
	w    io.Writer
	tail []byte // the last bytes seen, of which a sequence may go on
	on   atomic.Bool
}

// altSwitch is followed by h for the other screen and l for the usual one.
const altSwitch = "\x1b[?1049"

// Write passes p on.
func (a *altScreen) Write(p []byte) (int, error) {
	if a.w == nil {
		return len(p), nil
	}
	border := min(len(p), len(altSwitch))
	a.look(append(a.tail, p[:border]...))
	a.look(p)
	rest := append(a.tail, p[max(0, len(p)-len(altSwitch)):]...)
	a.tail = bytes.Clone(rest[max(0, len(rest)-len(altSwitch)):])
	return a.w.Write(p)
}

func (a *altScreen) look(p []byte) {
	at := bytes.LastIndex(p, []byte(altSwitch))
	if at < 0 || at+len(altSwitch) == len(p) {
		return
	}
	switch p[at+len(altSwitch)] {
	case 'h':
		a.on.Store(true)
	case 'l':
		a.on.Store(false)
	}
}

// cutShort tells a session that something ended from outside from one whose
// program came to its own end and has left the terminal in order.
func cutShort(err error) bool {
	var exit *ExitError
	return err != nil && !errors.As(err, &exit)
}

// leaveScreen undoes what programs on the VM told the terminal, which they now
// cannot: attributes, hidden cursor, application keys, mouse and focus
// reports, bracketed paste, the other screen (xterm's ctlseqs).
func (t *terminal) leaveScreen(term string, alternate bool) {
	if t.out == nil || term == "" || term == "dumb" {
		return
	}
	undo := "\x1b[0m\x1b[?25h\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l"
	if alternate {
		undo += "\x1b[?1049l"
	}
	_, _ = io.WriteString(t.out, undo)
}
