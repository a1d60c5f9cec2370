package ui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Clean makes a text from outside safe for one cell or one line: control
// characters (escape sequences, newlines, tabs), bidirectional overrides,
// zero-width and other invisible characters and invalid UTF-8 become visible
// as \x1b, \u202e and the like. Everything else stays.
func Clean(s string) string { return clean(s, false) }

// CleanText is Clean for text of several lines: newlines and tabs stay.
func CleanText(s string) string { return clean(s, true) }

func clean(s string, multiline bool) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case multiline && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case !hidden(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// hidden reports runes that a terminal acts on or does not show: controls,
// format characters (bidi, zero width, tags), line and paragraph separators,
// and what is not assigned. The joiner U+200D stays: emoji and scripts need it.
func hidden(r rune) bool {
	if r == 0x200d {
		return false
	}
	return !unicode.IsGraphic(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

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
