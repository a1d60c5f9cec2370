package sshconn

import (
	"io"
	"os"
	"sync"

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
