package ui

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Screen shows one picture after the other on Out, for --watch: on a terminal
// each replaces the one before without flicker, elsewhere each follows the one
// before after an empty line. The terminal needs no cleaning afterwards: the
// last picture stays, with the cursor below it.
type Screen struct {
	s     *Streams
	lines int    // of the last picture
	size  [2]int // of the terminal then
	drawn bool
}

// NewScreen returns a screen on Out.
func (s *Streams) NewScreen() *Screen { return &Screen{s: s} }

// Draw shows what render prints to the streams it is given. On a terminal
// what goes to Err is part of the picture too, above the rest.
func (sc *Screen) Draw(render func(*Streams) error) error {
	var b, notes lockedBuffer
	frame := *sc.s
	frame.Out = &b
	moving := sc.s.OutTerminal() && !sc.s.plain()
	if moving {
		frame.Err, frame.rules.NoProgress = &notes, true
	}
	if err := render(&frame); err != nil {
		return err
	}
	text := b.String()
	if !moving {
		if sc.drawn {
			text = "\n" + text
		}
		sc.drawn = true
		return writeString(sc.s.Out, text)
	}
	return writeString(sc.s.Out, sc.replace(notes.String()+text))
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// replace is one write: up to the first line of the last picture, the new
// lines each cleared before, as clearing after a full one would take its last
// character, and the rest of the screen cleared. After a
// resize nobody knows where the last picture is, so all is cleared first. Long
// lines are cut by the terminal meanwhile (DECAWM off), so that every line of
// the picture is one line of the screen.
func (sc *Screen) replace(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if most := sc.s.outHeight() - 1; len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("… %d more lines", len(lines)-most+1))
	}
	var b strings.Builder
	b.WriteString("\x1b[?7l")
	size := [2]int{sc.s.outWidth(), sc.s.outHeight()}
	switch {
	case sc.lines > 0 && size != sc.size: // the terminal has moved the lines about
		b.WriteString("\x1b[H\x1b[2J")
	case sc.lines > 0:
		fmt.Fprintf(&b, "\x1b[%dA", sc.lines)
	}
	sc.size = size
	b.WriteString("\r")
	for _, l := range lines {
		b.WriteString("\x1b[2K" + l + "\r\n")
	}
	b.WriteString("\x1b[J\x1b[?7h")
	sc.lines = len(lines)
	return b.String()
}

func (s *Streams) outHeight() int {
	if s.outFile != nil {
		if _, h, err := term.GetSize(int(s.outFile.Fd())); err == nil && h > 2 {
			return h
		}
	}
	return 24
}
