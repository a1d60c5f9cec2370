package ui

import (
	"strings"
	"sync"
	"time"

	"github.com/briandowns/spinner"
)

// Waiter tells why the program waits: a spinner with one line of text on a
// terminal, one plain line per change in verbose mode elsewhere, else nothing.
// Of several waiters one is shown at a time. All methods may be called from
// several goroutines, Start and Stop as often as wanted. Nothing stays on the
// terminal after Stop; the cursor is never hidden, so even a killed program
// leaves the terminal usable.
type Waiter struct {
	s    *Streams
	mu   sync.Mutex
	text string
	spin *spinner.Spinner // nil while not shown
	said string           // last plain line
}

// NewWaiter returns a waiter on Err that shows nothing yet.
func (s *Streams) NewWaiter() *Waiter { return &Waiter{s: s} }

// Start shows the text; if the waiter already shows one it is replaced.
func (w *Waiter) Start(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = Clean(text)
	if !w.s.Moving() {
		w.sayPlainly()
		return
	}
	if w.spin == nil && w.s.display.claim(w) {
		w.startSpinner()
	}
}

// Update replaces the text of a started waiter; before Start it starts it.
func (w *Waiter) Update(text string) { w.Start(text) }

// Stop removes the spinner.
func (w *Waiter) Stop() {
	w.mu.Lock()
	sp := w.spin
	w.spin, w.said = nil, ""
	w.mu.Unlock()
	if sp != nil { // not under w.mu: the spinner's tick asks for the text
		sp.Stop()
		w.s.display.clear()
		w.s.display.release(w)
	}
}

func (w *Waiter) sayPlainly() {
	if w.s.Verbose() && !w.s.Quiet() && w.text != w.said {
		w.said = w.text
		w.s.Debugf("%s", w.text)
	}
}

// startSpinner makes a new spinner for every start: a stopped one of this
// library may keep a stale stop signal.
func (w *Waiter) startSpinner() {
	options := []spinner.Option{spinner.WithHiddenCursor(false)}
	if f := w.s.errFile; f != nil {
		options = append(options, spinner.WithWriterFile(f))
	}
	sp := spinner.New(spinner.CharSets[14], 100*time.Millisecond, options...)
	sp.Writer = spinnerLine{w.s}
	sp.PreUpdate = func(sp *spinner.Spinner) {
		w.mu.Lock()
		defer w.mu.Unlock()
		sp.Suffix = " " + w.text
	}
	w.spin = sp
	sp.Start()
}

// spinnerLine takes what the spinner writes and draws it as the one moving
// line of the display: cut to the width as it is now, without the spinner's
// own cursor movements (which count bytes, not columns) and colours.
type spinnerLine struct{ s *Streams }

func (l spinnerLine) Write(p []byte) (int, error) {
	if line := stripEscapes(string(p)); line != "" {
		l.s.display.draw([]string{Truncate(line, l.s.ErrWidth()-1)})
	}
	return len(p), nil
}

// stripEscapes removes carriage returns and control sequences (ECMA-48 CSI).
// The text inside is clean, so every escape is the spinner's.
func stripEscapes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\r':
		case s[i] == 0x1b && i+1 < len(s) && s[i+1] == '[':
			for i += 2; i < len(s) && (s[i] < 0x40 || s[i] > 0x7e); i++ {
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
