package safe

import "strings"

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
