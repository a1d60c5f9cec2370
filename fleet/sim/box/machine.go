package box

import (
	"io"
	"strings"
	"sync/atomic"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// Machine is one VM as its commands see it.
type Machine struct {
	FS       *FS
	Hostname string
	// Started is when the VM booted.
	Started time.Time
	// Tmux tells the name of the one tmux session that there is now, "" for
	// none; nil is none at all.
	Tmux func() string
}

// job is one run of a command.
type job struct {
	command string   // as a person or program would give it to ssh
	env     []string // KEY=VALUE, on top of the VM's own
	dir     string   // "" means /root
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	tty     *tty // nil without a terminal

	bare bool // Env is the whole environment
}

// quote turns an argument list into a command line.
func quote(args []string) string {
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

// environ is the environment a VM's shell starts with.
type environ struct {
	expand.Environ
	// booting is true while the interpreter is prepared. It then reads TMPDIR
	// to decide where to make the FIFOs of process substitutions, which would
	// be real ones on the host; a folder whose name cannot exist prevents that.
	booting atomic.Bool
}

const noSuchFolder = "/\x00"

func newEnviron(m *Machine, s job) *environ {
	pairs := []string{
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOSTNAME=" + m.Hostname,
	}
	if s.bare {
		pairs = nil
	} else if s.tty != nil {
		pairs = append(pairs, "TERM="+s.tty.term)
	}
	e := &environ{Environ: expand.ListEnviron(append(pairs, s.env...)...)}
	e.booting.Store(true)
	return e
}

// Get answers for the ids of the user too, which the interpreter would
// otherwise ask the host for.
func (e *environ) Get(name string) expand.Variable {
	switch name {
	case "UID", "EUID", "GID":
		return expand.Variable{Set: true, ReadOnly: true, Kind: expand.String, Str: "0"}
	case "TMPDIR":
		if e.booting.Load() {
			return expand.Variable{Set: true, Kind: expand.String, Str: noSuchFolder}
		}
	}
	if strings.IndexByte(name, 0) >= 0 {
		return expand.Variable{}
	}
	return e.Environ.Get(name)
}
