package box

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// Machine is one VM as its commands see it.
type Machine struct {
	FS       *FS
	Hostname string
	// Started is when the VM booted.
	Started time.Time
	// Processes lists what `ps` shows besides the shell; nil means nothing.
	Processes func() []Process
	// Dial connects to a port inside the VM, for nc and curl; nil means that
	// nothing listens.
	Dial func(ctx context.Context, port int) (io.ReadWriteCloser, error)
	// HasTmux reports whether a tmux session of this name exists.
	HasTmux func(session string) bool

	mu       sync.Mutex
	disabled map[string]bool
}

// Process is one line of `ps`.
type Process struct {
	PID     int
	Command string
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

// Disable takes commands away, as on an image that lacks them.
func (m *Machine) Disable(names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.disabled == nil {
		m.disabled = make(map[string]bool)
	}
	for _, name := range names {
		m.disabled[name] = true
	}
}

func (m *Machine) isDisabled(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disabled[name]
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
