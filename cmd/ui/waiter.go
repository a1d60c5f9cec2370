package ui

import (
	"bytes"
	"sync"
	"time"

	"github.com/briandowns/spinner"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Waiter tells why the program waits: a spinner with one line of text on a
// terminal, one plain line per change in verbose mode elsewhere, else nothing.
// Of several waiters one is shown at a time, the longest waiting first. All
// methods may be called from several goroutines, Start and Stop as often as
// wanted. Nothing stays on the terminal after Stop; the cursor is never
// hidden, so even a killed program leaves the terminal usable.
type Waiter struct {
	s    *Streams
	mu   sync.Mutex
	text func() string // nil while stopped
	late *time.Timer   // shows it when the wait has become worth a word
	spin *spinner.Spinner
	said string // last plain line
}

// NewWaiter returns a waiter on Err that shows nothing yet.
func (s *Streams) NewWaiter() *Waiter { return &Waiter{s: s} }

// Start shows the text; if the waiter already shows one it is replaced.
func (w *Waiter) Start(text string) { w.StartAfter(0, func() string { return text }) }

// StartAfter shows what text returns, asked whenever the line is drawn, once
// the wait has taken that long. text must not use the waiter.
func (w *Waiter) StartAfter(patience time.Duration, text func() string) {
	w.mu.Lock()
	w.text = text
	switch {
	case !w.s.Moving():
		w.sayPlainly()
	case patience > 0 && w.late == nil:
		w.late = time.AfterFunc(patience, w.show)
	}
	w.mu.Unlock()
	if patience == 0 {
		w.show()
	}
}

// Stop removes the spinner.
func (w *Waiter) Stop() {
	w.mu.Lock()
	sp := w.spin
	if w.late != nil {
		w.late.Stop()
	}
	w.spin, w.late, w.text, w.said = nil, nil, nil, ""
	next := w.s.display.release(w)
	w.mu.Unlock()
	if sp != nil { // not under w.mu: the spinner's tick asks for the text
		sp.Stop()
		w.s.display.clear()
	}
	if next != nil {
		next.show()
	}
}

func (w *Waiter) sayPlainly() {
	if text := safe.Clean(w.text()); w.s.Verbose() && !w.s.Quiet() && text != w.said {
		w.said = text
		w.s.Debugf("%s", text)
	}
}

// show starts the spinner if it is this waiter's turn. A new one is made for
// every start: a stopped one of this library may keep a stale stop signal.
func (w *Waiter) show() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text == nil || w.spin != nil || !w.s.Moving() || !w.s.display.claim(w) {
		return
	}
	options := []spinner.Option{spinner.WithHiddenCursor(false), spinner.WithColor("reset")}
	if f := w.s.errFile; f != nil {
		options = append(options, spinner.WithWriterFile(f))
	}
	w.spin = spinner.New(spinner.CharSets[14], 100*time.Millisecond, options...)
	w.spin.Writer = spinnerLine{w.s.display}
	w.spin.PreUpdate = func(sp *spinner.Spinner) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.text != nil {
			sp.Suffix = Truncate(" "+safe.Clean(w.text()), w.s.errWidth()-2)
		}
	}
	w.spin.Start()
}

// spinnerLine is the line of the display that the spinner draws on.
type spinnerLine struct{ d *display }

// Write passes on what the spinner draws, but for its way up: it counts bytes
// for columns, and so takes for several lines what is cut to one.
func (l spinnerLine) Write(p []byte) (int, error) {
	l.d.drawn(bytes.ReplaceAll(p, []byte("\x1b[F\x1b[K"), nil))
	return len(p), nil
}
