package fleet

import (
	"fmt"
	"strings"
)

// Kind is the stable, machine-readable name of what went wrong. cmd/exit.go
// maps each Kind to the exit code that scripts rely on.
type Kind string

// The kinds a Fleet returns.
const (
	Unexpected   Kind = "unexpected"
	Usage        Kind = "usage"         // wrong arguments or configuration
	NotFound     Kind = "not_found"     // no such VM, path or key
	Ambiguous    Kind = "ambiguous"     // a selector fits several VMs; nothing was done
	Auth         Kind = "auth"          // API key missing or refused
	Refused      Kind = "refused"       // the API answers, and does not do what was asked
	Unavailable  Kind = "unavailable"   // API unreachable and nothing recorded serves instead
	Unreachable  Kind = "unreachable"   // VM not reachable over SSH
	LoginRefused Kind = "login_refused" // the VM's SSH login refused the key
	Partial      Kind = "partial"       // some VMs or files failed
	Identity     Kind = "identity"      // host key or TLS name is not the recorded one
	Storage      Kind = "storage"       // local state damaged, too open, full or read-only
	Queued       Kind = "queued"        // not done yet, safely recorded for later
	Interrupted  Kind = "interrupted"   // cancelled by the caller
)

// Origin says which party an error comes from.
type Origin string

// The parties.
const (
	OriginAPI    Origin = "api"
	OriginSSH    Origin = "ssh"
	OriginRemote Origin = "remote" // a command on the VM
	OriginLocal  Origin = "local"
)

// Error is the one error type that leaves this package: what happened, why,
// and what to do next, each a sentence without its full stop. Err is the cause
// for errors.Is and errors.As; it is never rendered beside Why.
type Error struct {
	Kind      Kind
	What      string
	Why       string
	Next      string
	Origin    Origin
	Retryable bool
	Err       error
}

// Error renders What and Why on one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	if e.Why != "" {
		fmt.Fprintf(&b, ": %s", e.Why)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
