package sshconn

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
)

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
