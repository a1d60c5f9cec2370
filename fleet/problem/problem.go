package problem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Kind is the stable, machine-readable name of what went wrong. cmd/exit.go
// maps each Kind to the exit code that scripts rely on.
type Kind string

// The kinds.
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

// Error is the one error type that leaves a room: what happened, why,
// and what to do next, each a sentence without its full stop. Err is the cause
// for errors.Is and errors.As; it is never rendered beside Why.
type Error struct {
	Kind      Kind
	What      string
	Why       string
	Next      string
	Origin    Origin
	Retryable bool
	Lasting   string // Why, as it is still true when read days later; "" = Why
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

// KindOf returns the Kind of err: that of the *Error in it, Unexpected for any
// other error and "" for nil.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	}
	return Unexpected
}

// Cause is the reason of a failed file operation without the path, for a
// sentence that names it already.
func Cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// Why is the reason of an error in one clause.
func Why(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Why != "" {
		return e.Why
	}
	return err.Error()
}

// OriginOf is where an error came from.
func OriginOf(err error) Origin {
	var e *Error
	if errors.As(err, &e) {
		return e.Origin
	}
	return OriginLocal
}

// Of makes the *Error of a failure: every translator of a room's failures
// begins here. Nil stays nil and an *Error stays what it is. e holds what is
// known beforehand; the cause and, if e has none, the reason are filled in from
// err, and when the caller has given up the kind is Interrupted. detail, which
// may be nil, then adds what the failure tells, unless --timeout ended ctx: that
// is all there is to say.
func Of(ctx context.Context, err error, e Error, detail func(*Error)) error {
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case ctx != nil && IsOutOfTime(context.Cause(ctx)):
		return OutOfTime(e.What)
	}
	e.Err = err
	if e.Why == "" && errors.Is(err, context.DeadlineExceeded) {
		e.Why = "no answer in time"
	}
	if e.Why == "" {
		e.Why = err.Error()
	}
	if errors.Is(err, context.Canceled) || ctx != nil && errors.Is(ctx.Err(), context.Canceled) {
		e.Kind, e.What, e.Why, e.Origin, e.Next = Interrupted, "interrupted", "", OriginLocal, "" // no verdict
	}
	if detail != nil {
		detail(&e)
	}
	return &e
}

// outOfTime is the cause of a context that --timeout ended.
type outOfTime struct{}

// Error is for people: no library's words for it reach them.
func (outOfTime) Error() string { return "the time given by --timeout is over" }

// Is makes it a passed deadline.
func (outOfTime) Is(target error) bool { return target == context.DeadlineExceeded }

// IsOutOfTime reports whether --timeout ended what err is of.
func IsOutOfTime(err error) bool { return errors.As(err, new(outOfTime)) }

// WithTimeout bounds ctx by --timeout, so that Of can tell its end from that of
// any other deadline.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, outOfTime{})
}

// OutOfTime is the error of work that --timeout ended.
func OutOfTime(what string) *Error {
	return &Error{Kind: Unavailable, What: what, Why: outOfTime{}.Error(), Origin: OriginLocal, Retryable: true, Err: outOfTime{},
		Next: "give it longer with --timeout"}
}

// WatchGoesOn reports whether a command that shows or fetches something again
// and again survives err: what passes by itself always, wrong usage never, and
// the rest unless it is there from the start.
func WatchGoesOn(err error, first bool) bool {
	var own *Error
	if !errors.As(err, &own) {
		return false
	}
	switch own.Kind {
	case Unavailable, Unreachable, Partial:
		return true
	case Usage, Ambiguous:
		return false
	}
	return !first
}

// Lasting is Why for what is kept: without what is only true now.
func Lasting(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Lasting != "" {
		return e.Lasting
	}
	return Why(err)
}
