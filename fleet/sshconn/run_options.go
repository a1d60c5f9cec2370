package sshconn

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// TTYMode says whether a session has a pseudo-terminal.
type TTYMode int

// The modes, with OpenSSH's flags.
const (
	TTYAuto    TTYMode = iota // for a shell, if stdin is a terminal
	TTYNever                  // -T
	TTYRequest                // -t: if stdin is a terminal, for commands too
	TTYForce                  // -tt: even if stdin is no terminal
)

// RunOptions describes a session as `ssh` starts it.
type RunOptions struct {
	Command string // empty means a login shell
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	NoStdin bool // -n: stdin stays untouched, the command reads an empty one

	TTY    TTYMode
	Term   string            // TERM of the session; only sent with a terminal
	Env    map[string]string // offered to the server, which may ignore it
	Escape rune              // 0 means '~', NoEscape turns escapes off

	// AgentSocket is the path of an ssh-agent's socket that the VM may use
	// (-A). Whoever is root there can sign with the agent's keys meanwhile.
	AgentSocket string

	// OnRaw is told how to put the terminal back when it goes into raw mode.
	// Run does that on every way out of its own; the hook is for the rest
	// (a panic elsewhere, os.Exit). It may be called at any time, repeatedly.
	OnRaw func(restore func())

	// Quiet leaves out "Connection to VM closed."
	Quiet bool
}

// wantsPTY decides as OpenSSH's ssh.c does.
func (o RunOptions) wantsPTY(t *terminal) bool {
	switch o.TTY {
	case TTYForce:
		return true
	case TTYNever:
		return false
	case TTYRequest:
		return t != nil
	}
	return o.Command == "" && t != nil && !o.NoStdin
}

// LocaleEnv picks from an environment ("KEY=VALUE" lines) what OpenSSH's
// default configuration on Debian sends: LANG, LC_*, and COLORTERM.
func LocaleEnv(environ []string) map[string]string {
	env := map[string]string{}
	for _, line := range environ {
		k, v, ok := strings.Cut(line, "=")
		if ok && (k == "LANG" || k == "COLORTERM" || strings.HasPrefix(k, "LC_")) {
			env[k] = v
		}
	}
	return env
}

type envVar struct{ Name, Value string }

func (o RunOptions) environment() []envVar {
	var list []envVar
	for k, v := range o.Env {
		if len(k)+len(v) > maxCommand {
			continue
		}
		list = append(list, envVar{k, v})
	}
	slices.SortFunc(list, func(a, b envVar) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
