package ui

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sahilm/fuzzy"
	"golang.org/x/term"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// pickLines is how many choices are shown at a time.
const pickLines = 10

// Pick lets a person choose one of several texts by typing parts of it and
// with the arrow keys, and returns its index. It returns ErrNotTerminal when
// there is nobody to ask, ErrDeclined after Escape, and context.Canceled after
// Ctrl-C. The list disappears afterwards.
func (s *Streams) Pick(question string, choices []string) (int, error) {
	if !s.CanAsk() || s.inFile == nil || s.plain() {
		return -1, ErrNotTerminal
	}
	fd := int(s.inFile.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return -1, fmt.Errorf("cannot read single keys: %w", err)
	}
	defer func() {
		s.display.clear()
		_ = term.Restore(fd, before)
	}()
	p := picker{question: safe.Clean(question), shown: -1}
	for _, c := range choices {
		p.choices = append(p.choices, safe.Clean(c))
	}
	p.filter()
	keys := make([]byte, 64)
	for {
		s.display.draw(p.render(s.errWidth()-1, s.ErrStyle()))
		n, err := s.In.Read(keys)
		if err != nil || n == 0 {
			return -1, fmt.Errorf("no answer: %w", ErrNotTerminal)
		}
		if done, err := p.keys(keys[:n]); done {
			return p.shown, err
		}
	}
}

// picker is the state of a Pick.
type picker struct {
	question string
	choices  []string
	typed    string
	found    []int // indexes into choices, best first
	at       int   // index into found
	shown    int   // the choice made
}

func (p *picker) filter() {
	p.found, p.at = p.found[:0], 0
	if p.typed == "" {
		for i := range p.choices {
			p.found = append(p.found, i)
		}
		return
	}
	for _, m := range fuzzy.Find(p.typed, p.choices) {
		p.found = append(p.found, m.Index)
	}
}

// keys takes what one read of the raw terminal gave: an escape sequence comes
// whole, so an Escape alone is the key.
func (p *picker) keys(in []byte) (done bool, err error) {
	switch string(in) {
	case "\x1b[A", "\x1bOA", "\x10": // up, Ctrl-P
		p.at = max(0, p.at-1)
		return false, nil
	case "\x1b[B", "\x1bOB", "\x0e": // down, Ctrl-N
		p.at = max(0, min(len(p.found)-1, p.at+1))
		return false, nil
	}
	if in[0] == keyEscape {
		return len(in) == 1, ErrDeclined // other sequences are no keys of ours
	}
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		in = in[n:]
		switch r {
		case '\r', '\n':
			if len(p.found) > 0 {
				p.shown = p.found[p.at]
				return true, nil
			}
		case keyInterrupt:
			return true, context.Canceled
		case keyEnd:
			return true, ErrDeclined
		case keyBackspace, keyDelete:
			_, last := utf8.DecodeLastRuneInString(p.typed)
			p.typed = p.typed[:len(p.typed)-last]
			p.filter()
		case keyKill:
			p.typed = ""
			p.filter()
		default:
			if !safe.Hidden(r) && r != utf8.RuneError {
				p.typed += string(r)
				p.filter()
			}
		}
	}
	return false, nil
}

// render shows the choices around the current one, and last the line where
// the cursor stands.
func (p *picker) render(width int, st Styler) []string {
	first := max(0, min(p.at-pickLines/2, len(p.found)-pickLines))
	var lines []string
	for i := first; i < min(len(p.found), first+pickLines); i++ {
		text := Truncate("  "+p.choices[p.found[i]], width)
		if i == p.at {
			text = st.Apply(Strong, "> "+strings.TrimPrefix(text, "  "))
		}
		lines = append(lines, text)
	}
	count := fmt.Sprintf(" (%d of %d) ", len(p.found), len(p.choices))
	return append(lines, Truncate(p.question+count+"> "+p.typed, width))
}
