package safe

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Word makes s one word of a POSIX shell.
func Word(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%=") == "" && s[0] != '-' {
		return s
	}
	if strings.HasPrefix(s, "--") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// SSHPath is a path as a value of ssh_config, where % begins a token.
func SSHPath(s string) string { return SSHWord(strings.ReplaceAll(s, "%", "%%")) }

// SSHWord makes s one word of ssh_config, which knows quotes, backslashes and
// comments as argv_split in OpenSSH's misc.c does.
func SSHWord(s string) string {
	if !strings.ContainsAny(s, " \t\"'\\#") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Line quotes what has control characters in it: names of files are the
// VM's word, and must not look like lines of this program.
func Line(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}

// Unshowable are control characters; a completion must not act on a terminal.
func Unshowable(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xfffd }
