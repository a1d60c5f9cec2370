package cmd

import (
	"strings"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// bashOptions is what bash says of the line on which Tab was pressed.
type bashOptions struct {
	line    string // up to the cursor, as typed: COMP_LINE to COMP_POINT
	breaks  string // COMP_WORDBREAKS
	kind    int    // COMP_TYPE
	columns int
}

// bashLists is the COMP_TYPE of the second Tab, which lists what there is and
// inserts nothing.
const bashLists = '?'

// offer turns what find knows into what bash puts on the line as it stands: each
// character that is not plain has a backslash before it, so that what several
// have in common, which bash inserts, is quoted too. Descriptions are shown
// where bash only lists: what is common to two lines must not reach into them.
func (o bashOptions) offer(find func(before []string, word string) ([]offered, bool)) (lines []string, files bool) {
	words, ok := readLine(o.line, o.breaks)
	if !ok || len(words) < 2 {
		return nil, true
	}
	last := words[len(words)-1]
	if last.redirect {
		return nil, true
	}
	var before []string
	for _, w := range words[1 : len(words)-1] {
		if !w.redirect {
			before = append(before, w.text)
		}
	}
	all, files := find(before, last.text)
	var kept []offered
	width := 0
	for _, c := range all {
		if quoted := backslashed(c.word); strings.HasPrefix(quoted, last.typed) {
			c.word = quoted[last.cut:]
			kept, width = append(kept, c), max(width, ui.Width(c.word))
		}
	}
	for _, c := range kept {
		if o.kind == bashLists && len(kept) > 1 && c.about != "" {
			c.word += strings.Repeat(" ", width-ui.Width(c.word)) + "  (" + c.about + ")"
			c.word = ui.Truncate(c.word, o.columns-1)
		}
		lines = append(lines, c.word)
	}
	return lines, files
}

// backslashed quotes a word for bash so that every beginning of it is quoted.
func backslashed(s string) string {
	var b strings.Builder
	for i := range len(s) { // bytes, which may be no UTF-8
		if s[i] < 0x80 && strings.IndexByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%=", s[i]) < 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// typedWord is a word of a command line.
type typedWord struct {
	typed    string // as it stands there
	text     string // without its quotes; nothing is expanded
	cut      int    // of typed, what comes before the part that bash replaces
	redirect bool   // names the file of a redirection
}

func (w *typedWord) add(typed, text string) { w.typed, w.text = w.typed+typed, w.text+text }

// readLine splits a command line into words as bash would, the last being the
// one at the cursor, which may be empty. Nothing is expanded: a substitution is
// part of its word as it stands. ok is false where the cursor is not in a word
// of this command. breaks are the characters after which bash replaces the rest
// of a word.
func readLine(line, breaks string) (words []typedWord, ok bool) {
	var w typedWord
	var quote byte
	begun, redirect := false, false
	end := func() {
		if begun {
			words = append(words, w)
		}
		w, begun = typedWord{}, false
	}
	for i, n := 0, 0; i < len(line); i += n {
		n = 1
		c := line[i]
		switch { // what is no word
		case quote == 0 && strings.IndexByte(" \t\n", c) >= 0:
			end()
			continue
		case quote == 0 && (c == '<' || c == '>') && !strings.HasPrefix(line[i+1:], "("):
			begun = begun && strings.Trim(w.typed, "0123456789") != "" // 2> is one sign
			end()
			redirect = true
			continue
		case quote == 0 && c == '&' && (redirect && !begun || strings.HasPrefix(line[i+1:], ">")):
			continue
		case quote == 0 && strings.IndexByte(";|&()", c) >= 0:
			return nil, false
		}
		if !begun {
			begun, w.redirect, redirect = true, redirect, false
		}
		switch {
		case quote != '\'' && substitutes(line[i:]):
			if n = substitution(line[i:]); n < 0 {
				return nil, false
			}
			w.add(line[i:i+n], line[i:i+n])
		case c == quote:
			quote = 0
			w.add(line[i:i+1], "")
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
			w.add(line[i:i+1], "")
		case quote != '\'' && c == '\\' && i+1 < len(line) && (quote == 0 || strings.IndexByte("$`\"\\", line[i+1]) >= 0):
			n = 2
			w.add(line[i:i+2], line[i+1:i+2])
		case quote == 0 && c == '\\' && i+1 == len(line):
			w.add(`\`, "")
		default:
			w.add(line[i:i+1], line[i:i+1])
			if quote == 0 && strings.IndexByte(breaks, c) >= 0 {
				w.cut = len(w.typed)
			}
		}
	}
	w.redirect = w.redirect || redirect
	begun = true
	end()
	return words, true
}

// substitutes reports whether a command substitution begins here.
func substitutes(s string) bool {
	return s[0] == '`' || len(s) > 1 && s[1] == '(' && strings.IndexByte("$<>", s[0]) >= 0
}

// substitution is the length of the substitution that s begins with, -1 if it
// does not end.
func substitution(s string) int {
	if s[0] == '`' {
		n := strings.IndexByte(s[1:], '`')
		if n < 0 {
			return -1
		}
		return n + 2
	}
	depth := 0
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}
