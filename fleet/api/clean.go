package api

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes foreign text fit for a terminal and a log: printable runes only,
// on one line, at most limit runes.
func clean(s string, limit int) string {
	return shorten(printable(s), limit)
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r) && r != utf8.RuneError:
			return r
		}
		return -1
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// maxMessage bounds the server's words in an error, in runes.
const maxMessage = 200

// clean is the function of the same name, and removes this call's token and
// whatever else looks like a key. Secrets go after the invisible runes, which
// could hide them, and before the cut, which could halve them.
func (a *attempt) clean(s string) string {
	const enough = 20 * maxMessage // of bytes, however much of them is redacted
	s = printable(s[:min(len(s), enough)])
	return shorten(redact(s, a.secret), maxMessage)
}
