package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// display is stderr with at most one moving region (spinner line or progress
// lines) at its bottom. Ordinary writes remove the region first, so lines
// never mix; whoever owns the region draws it again at its next tick.
type display struct {
	mu    sync.Mutex
	w     io.Writer
	lines int       // lines of the region now on the screen
	open  bool      // an ordinary write left the cursor inside a line
	turns []*Waiter // the first shows its line; others wait for theirs
}

// claim queues up for the region, and tells whether it is w's turn.
func (d *display) claim(w *Waiter) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.turns, w) {
		d.turns = append(d.turns, w)
	}
	return d.turns[0] == w
}

// release gives the region up, and returns whose turn it is then.
func (d *display) release(w *Waiter) *Waiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turns = slices.DeleteFunc(d.turns, func(other *Waiter) bool { return other == w })
	if len(d.turns) == 0 {
		return nil
	}
	return d.turns[0]
}

// Write writes ordinary text, above the moving region.
func (d *display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.erase()
	if len(p) > 0 {
		d.open = p[len(p)-1] != '\n'
	}
	return d.w.Write(p)
}

// draw replaces the moving region. Every line must fit the width. Nothing is
// drawn while an ordinary line is unfinished.
func (d *display) draw(lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open {
		return
	}
	var b strings.Builder
	b.WriteString(d.eraseCode())
	b.WriteString(strings.Join(lines, "\r\n")) // the terminal may be raw
	d.lines = len(lines)
	_, _ = io.WriteString(d.w, b.String())
}

// drawn passes on what another draws as the one line of the region.
func (d *display) drawn(p []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		d.lines = 1
		_, _ = d.w.Write(p)
	}
}

// lineEnded tells that something else, such as an echoed Enter, has ended the
// line that an ordinary write left open.
func (d *display) lineEnded() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = false
}

// clear removes the moving region.
func (d *display) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.erase()
}

func (d *display) erase() {
	if d.lines > 0 {
		_, _ = io.WriteString(d.w, d.eraseCode())
		d.lines = 0
	}
}

// eraseCode goes to the first line of the region and clears from there to the
// end of the screen (ECMA-48 CUU and ED); the cursor stands in its last line.
func (d *display) eraseCode() string {
	switch {
	case d.lines == 0:
		return ""
	case d.lines == 1:
		return "\r\x1b[J"
	default:
		return fmt.Sprintf("\r\x1b[%dA\x1b[J", d.lines-1)
	}
}
