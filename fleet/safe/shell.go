package safe

import (
	"fmt"
	"strings"
)

// bare is what a word may consist of to need no quotes.
const bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%="

// Word makes s one word that bash, dash, busybox's ash, ksh, zsh, fish, csh and
// tcsh all read alike, at a prompt too. Single quotes do most of it. Outside of
// them stand an apostrophe, which ends them everywhere; a backslash, of which
// two are one inside them in fish; and an exclamation mark, which csh, and bash
// and zsh at a prompt, look for inside them too. For csh a newline must not be
// part of a word: [Words] and [Script] see to that.
func Word(s string) string {
	if s != "" && strings.Trim(s, bare) == "" && !strings.ContainsRune("-=%", rune(s[0])) { // zsh: =ls; fish: %self
		return s
	}
	if strings.HasPrefix(s, "--") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == "" {
		return s
	}
	return "'" + strings.NewReplacer(`'`, `'\''`, `\`, `'\\'`, `!`, `'\!'`).Replace(s) + "'"
}

// Words is a command line with exactly these words for any login shell. The
// first is a command, whatever is in it.
func Words(words ...string) string {
	line := quoted(words)
	if len(words) > 0 && strings.Contains(words[0], "=") {
		line = "''" + line // else it would be an assignment
	}
	if strings.Contains(line, "\n") {
		return Script(line)
	}
	return line
}

// Script is a command line that makes any login shell run a script of sh, with
// args as $1, $2 and so on. What shells read differently reaches sh as octal
// escapes, so the line has no newline, quote or byte beyond ASCII in it.
func Script(script string, args ...string) string {
	if len(args) > 0 {
		script = "set -- " + quoted(args) + "\n" + script
	}
	var b strings.Builder
	for i := range len(script) {
		if c := script[i]; c < 0x20 || c > 0x7e || strings.IndexByte("'\"\\!`$", c) >= 0 {
			fmt.Fprintf(&b, `\0%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return `exec sh -c 'eval "$(printf %b "` + b.String() + `")"'`
}

func quoted(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(Word(w))
	}
	return b.String()
}
