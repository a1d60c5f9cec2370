package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// The exit codes, as documented in docs/exit-codes.md.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitDifferent   = 1 // of diff, which has no other use for it
	exitUsage       = 2
	exitNotFound    = 3
	exitAuth        = 4
	exitUnavailable = 5
	exitUnreachable = 6
	exitPartial     = 7
	exitIdentity    = 8
	exitStorage     = 9
	exitQueued      = 75
	exitInterrupted = 130
	exitSSH         = 255
)

// ExitMeaning is one row of the table of exit codes.
type ExitMeaning struct {
	Code    int
	Meaning string
	short   string // for the help text of a command
}

// exitAnnotation holds the exit codes of a command that its help names.
const exitAnnotation = "exit codes"

// Exits returns what the exit codes of a command mean: those that its help
// names, and those that any command may end with. It has none for commands that
// the house did not write, such as completion.
func Exits(c *cobra.Command) []ExitMeaning {
	named, ok := c.Annotations[exitAnnotation]
	if !ok {
		return nil
	}
	codes := strings.Fields(named)
	var out []ExitMeaning
	for _, m := range exitTable() {
		always := m.Code == exitUnexpected || m.Code == exitUsage || m.Code == exitInterrupted
		if m.Code == exitDifferent && c.Name() == diffName {
			m.Meaning = "something differs, and nothing else is wrong"
		}
		if always || slices.Contains(codes, strconv.Itoa(m.Code)) {
			out = append(out, m)
		}
	}
	return out
}

// exitTable is the one list that help texts and documentation are checked
// against.
func exitTable() []ExitMeaning {
	return []ExitMeaning{
		{exitOK, "done (also when the answer came from the cache)", "done"},
		{exitUnexpected, "unexpected", "unexpected"},
		{exitUsage, "wrong usage or configuration", "wrong usage"},
		{exitNotFound, "no such VM, path or key", "not found"},
		{exitAuth, "API key missing or refused", "API key missing or refused"},
		{exitUnavailable, "API unavailable, and nothing recorded can serve instead", "API unavailable"},
		{exitUnreachable, "VM not reachable over SSH, or its SSH login refused", "VM not reachable"},
		{exitPartial, "partly done: some VMs or files failed", "partly done"},
		{exitIdentity, "identity mismatch: host key or TLS name", "identity mismatch"},
		{exitStorage, "local storage: keystore damaged or too open, disk full", "local storage"},
		{exitQueued, "not done yet, safely queued", "queued"},
		{exitInterrupted, "interrupted", "interrupted"},
		{exitSSH, "ssh and exec on one VM only: they failed themselves; any other status is the remote command's own", "own failure"},
	}
}

// kindCode maps what went wrong to the exit code.
func kindCode(k problem.Kind) int {
	switch k {
	case problem.Usage:
		return exitUsage
	case problem.NotFound, problem.Ambiguous:
		return exitNotFound
	case problem.Auth:
		return exitAuth
	case problem.Unavailable:
		return exitUnavailable
	case problem.Unreachable, problem.LoginRefused:
		return exitUnreachable
	case problem.Partial:
		return exitPartial
	case problem.Identity:
		return exitIdentity
	case problem.Storage:
		return exitStorage
	case problem.Queued:
		return exitQueued
	case problem.Interrupted:
		return exitInterrupted
	default:
		return exitUnexpected
	}
}

// differsError is the answer of a diff that found differences: they are shown
// already.
type differsError string

func (e differsError) Error() string { return string(e) }

// codeError gives an error an exit code of its own.
type codeError struct {
	code   int
	err    error
	silent bool // nothing is shown in text form
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// ownFailure marks a failure of ssh, or of exec on one VM, as the program's
// own: exit code 255, as with OpenSSH. A remote command's status, success and
// wrong usage pass unchanged.
func ownFailure(err error) error {
	if _, ok := remoteStatus(err); ok || err == nil {
		return err
	}
	if remote.IsDisconnected(err) { // the person knows, and the session has said goodbye
		return &codeError{code: exitSSH, err: err, silent: true}
	}
	if errors.Is(err, context.Canceled) || fleetKind(err) == problem.Usage || fleetKind(err) == problem.Interrupted {
		return err
	}
	return &codeError{code: exitSSH, err: err}
}

// commandStatus is the status, not 0, of a command that sim or wait ran here: it has said
// itself what is wrong.
type commandStatus int

func (s commandStatus) Error() string { return fmt.Sprintf("the command ended with status %d", int(s)) }

// remoteStatus returns the status of the user's command on a VM if that is what
// err is. Commands that vers-fleet runs there for itself fail with other errors.
func remoteStatus(err error) (int, bool) {
	var own *problem.Error
	var remote *remote.RemoteStatus
	if errors.As(err, &own) || !errors.As(err, &remote) {
		return 0, false
	}
	return remote.Status, true
}

func fleetKind(err error) problem.Kind {
	var fe *problem.Error
	if errors.As(err, &fe) {
		return fe.Kind
	}
	return ""
}

// view turns any error into what is shown and the exit code. silent says that
// nothing is to be shown in text form.
func view(err error) (v ui.ErrorView, silent bool) {
	if status, ok := remoteStatus(err); ok {
		return ui.ErrorView{
			Kind: "remote_exit", Message: fmt.Sprintf("the remote command ended with status %d", status),
			Origin: string(problem.OriginRemote), ExitCode: status,
		}, true
	}
	var differ differsError
	if errors.As(err, &differ) {
		return ui.ErrorView{Kind: "different", Message: differ.Error(), Origin: string(problem.OriginLocal), ExitCode: exitDifferent}, true
	}
	var own commandStatus
	if errors.As(err, &own) {
		return ui.ErrorView{Kind: "command_exit", Message: own.Error(), Origin: string(problem.OriginLocal), ExitCode: int(own)}, true
	}
	v = describe(err)
	var ce *codeError
	if errors.As(err, &ce) {
		v.ExitCode, silent = ce.code, ce.silent
	}
	return v, silent
}

func describe(err error) ui.ErrorView {
	var fe *problem.Error
	switch {
	case errors.As(err, &fe):
		v := ui.ErrorView{
			Kind: string(fe.Kind), Message: fe.What, Why: fe.Why, Next: fe.Next,
			Origin: string(fe.Origin), Retryable: fe.Retryable, ExitCode: kindCode(fe.Kind),
		}
		if v.Origin == "" {
			v.Origin = string(problem.OriginLocal)
		}
		return v
	case errors.Is(err, context.Canceled):
		return local(problem.Interrupted, "interrupted", "", "")
	case errors.Is(err, context.DeadlineExceeded):
		v := local(problem.Unavailable, "the time given by --timeout is over", "", "allow more time, or look at: vers-fleet status")
		v.Retryable = true
		return v
	}
	if f, ok := ui.IsFormatError(err); ok {
		return local(problem.Usage, f.Option+": "+f.Why, "", f.Next)
	}
	return local(problem.Unexpected, err.Error(), "", "run the command again with -v to see more")
}

func local(k problem.Kind, what, why, next string) ui.ErrorView {
	return ui.ErrorView{
		Kind: string(k), Message: what, Why: why, Next: next,
		Origin: string(problem.OriginLocal), ExitCode: kindCode(k),
	}
}

// usageError is wrong usage or configuration: exit code 2.
func usageError(what, why, next string) error {
	return &problem.Error{Kind: problem.Usage, What: what, Why: why, Next: next, Origin: problem.OriginLocal}
}
