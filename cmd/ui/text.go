package ui

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// Width is the number of terminal columns that s takes. s must be clean.
func Width(s string) int { return widths().StringWidth(s) }

// Truncate shortens s to at most width columns, marking the cut with an
// ellipsis. s must be clean and without styles.
func Truncate(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return widths().Truncate(s, width, "…")
}

// pad fills s with spaces up to width columns.
func pad(s string, width int) string {
	if n := width - Width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// widths counts ambiguous characters as narrow whatever the locale says, as
// terminals do by default; a table must not depend on LANG.
func widths() *runewidth.Condition {
	return &runewidth.Condition{EastAsianWidth: false, StrictEmojiNeutral: true}
}

// leastWrap is the narrowest text that is still worth wrapping; on a narrower
// terminal lines break where the terminal breaks them.
const leastWrap = 24

// Wrap breaks clean text at spaces into lines of at most width columns.
func Wrap(text string, width int) string { return wrap(text, width, 0, 0) }

// wrap breaks clean text at spaces so that it fits width columns. The text
// starts at column first, further lines at column indent. A word that is too
// long, such as a path, stays in one piece so that it can be copied. Newlines
// stay; a width of 0 is no terminal and changes nothing.
func wrap(text string, width, first, indent int) string {
	if width == 0 || width-indent < leastWrap || first+Width(text) <= width && !strings.Contains(text, "\n") {
		return text
	}
	var b strings.Builder
	column := first
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
			column = 0
		}
		for j, word := range strings.Split(line, " ") {
			w := Width(word)
			switch {
			case j == 0:
			case column+1+w > width && column > indent:
				b.WriteString("\n" + strings.Repeat(" ", indent))
				column = indent
			default:
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += w
		}
	}
	return b.String()
}

// Style is how a piece of text looks on a terminal. The set is small and uses
// only the sixteen colours of the terminal's own theme, so that it reads well
// on light and on dark backgrounds.
type Style int

// The styles and what they mean.
const (
	Normal Style = iota
	Good         // green: healthy, done
	Notice       // magenta: degraded; yellow cannot be read on white
	Bad          // red: failed, gone
	Faint        // details
	Strong       // names, headers
)

// Styler applies styles, or leaves the text alone where colour is not allowed.
type Styler struct{ on bool }

// Apply returns text in the given style. The text must be clean already.
func (st Styler) Apply(s Style, text string) string {
	if !st.on || s == Normal || text == "" {
		return text
	}
	return "\x1b[" + s.sgr() + "m" + text + "\x1b[0m"
}

// sgr is the "select graphic rendition" parameter (ECMA-48 8.3.117).
func (s Style) sgr() string {
	switch s {
	case Good:
		return "32"
	case Notice:
		return "35"
	case Bad:
		return "31"
	case Faint:
		return "2"
	case Strong:
		return "1"
	default:
		return "0"
	}
}
