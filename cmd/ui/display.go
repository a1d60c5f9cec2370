package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// display is stderr with at most one moving region (spinner line or progress
// lines) at its bottom. Ordinary writes remove the region first, so lines
// never mix; whoever owns the region draws it again at its next tick.
type display struct {
	mu    sync.Mutex
	w     io.Writer
	lines int  // lines of the region now on the screen
	open  bool // an ordinary write left the cursor inside a line
	turn  any  // the Waiter that shows its line; others wait for theirs
}

// claim gives the region to who unless another has it.
func (d *display) claim(who any) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn == nil {
		d.turn = who
	}
	return d.turn == who
}

// release gives the region back.
func (d *display) release(who any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn == who {
		d.turn = nil
	}
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
