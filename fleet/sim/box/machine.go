package box

import (
	"io"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// Machine is one VM as its commands see it.
type Machine struct {
	FS       *FS
	Hostname string
	// Started is when the VM booted.
	Started time.Time
	// Tmux is the name of the one tmux session that there is, "" for none.
	Tmux string
}

// Session is one run of a command.
type Session struct {
	Command string   // as a person or program would give it to ssh
	Env     []string // KEY=VALUE, on top of the VM's own
	Dir     string   // "" means /root
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	TTY     *TTY // nil without a terminal

	bare bool // Env is the whole environment
}

// Quote turns an argument list into a command line.
func Quote(args []string) string {
	quoted := make([]string, 0, len(args))
	for _, arg := range args {
		q, err := syntax.Quote(arg, syntax.LangBash)
		if err != nil { // a NUL byte: no command line can hold it
			q = "''"
		}
		quoted = append(quoted, q)
	}
	return strings.Join(quoted, " ")
}
