package box

import (
	"sync"
	"sync/atomic"
)

// TTY is the terminal of a session.
type TTY struct {
	Term string

	sawEOF atomic.Bool // a command met the end of what was typed

	mu         sync.Mutex
	cols, rows int
	raw        bool
	noEcho     bool
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

// Size returns the size in characters.
func (t *TTY) Size() (cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cols, t.rows
}

// SetMode switches line editing and echo, as stty does.
func (t *TTY) SetMode(raw, echo bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raw, t.noEcho = raw, !echo
}

// Mode tells whether bytes are passed on raw, and whether they are echoed.
func (t *TTY) Mode() (raw, echo bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.raw, !t.noEcho
}
