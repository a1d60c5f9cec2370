package safe

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hidden reports runes that a terminal acts on or shows nothing for: control
// characters, what turns the direction of writing, zero-width characters and
// joiners, line and paragraph separators, tags, variation selectors, fillers
// and whatever else Unicode calls ignorable by default, private and unassigned
// code points. What is hidden can make a text look like another, or act.
func Hidden(r rune) bool {
	if r < 0x7f {
		return r < 0x20
	}
	return !unicode.IsGraphic(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Clean makes a text from outside safe for one cell or one line: what is hidden,
// newlines and tabs included, and bytes that are not UTF-8 become visible as
// \x1b, \u202e and the like. Everything else stays, and so do the joiners within
// an emoji.
func Clean(s string) string { return clean(s, false) }

// Text is Clean for text of several lines: newlines and tabs stay, a carriage
// return before a newline goes.
func Text(s string) string { return clean(s, true) }

func clean(s string, multiline bool) string {
	if plainASCII(s) {
		return s
	}
	var b strings.Builder
	before := rune(0) // the last rune that stayed
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		after, _ := utf8.DecodeRuneInString(s[i+n:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
			before = 0
		case multiline && r == '\r' && after == '\n':
		case joins(before, r, after):
			b.WriteRune(r)
		case !Hidden(r) || multiline && (r == '\n' || r == '\t'):
			b.WriteRune(r)
			before = r
		default:
			b.WriteString(escape(r))
			before = 0
		}
		i += n
	}
	return b.String()
}

// escape is a rune as it is written in a string of Go, C or JSON.
func escape(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\t':
		return `\t`
	case r == '\r':
		return `\r`
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r > 0xffff:
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// joins reports whether r shows nothing itself, but makes one emoji of its
// neighbours or chooses their look.
func joins(before, r, after rune) bool {
	const joiner, emojiLook, keycap = 0x200d, 0xfe0f, 0x20e3
	switch r {
	case joiner:
		return pictograph(before) && pictograph(after)
	case emojiLook:
		return pictograph(before) || after == keycap
	}
	return false
}

func pictograph(r rune) bool { return r >= 0xa9 && unicode.IsSymbol(r) && r != utf8.RuneError }

func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// OneLine is foreign text fit for a sentence: on one line, without what is
// hidden. [Clean] shows what was there, OneLine leaves it out.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case Hidden(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// Line quotes what has hidden characters in it: names of files are the VM's
// word, and must not look like lines of this program.
func Line(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) || Hidden(r) }) {
		return s
	}
	return Clean(strconv.Quote(s))
}

// Visible is foreign text of several lines without what is hidden, and with
// U+FFFD for bytes that are no UTF-8. [Text] shows what was there, Visible leaves
// it out: nothing can hide in the text, or cut a word of it in two.
func Visible(s string) string {
	if plainASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if Hidden(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}
