package remote

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// RemoteStatus is the error of a command on a VM that ended with a status
// other than 0. The status is what the caller should exit with.
type RemoteStatus struct {
	VM     inventory.VM
	Status int
	Err    error
}

// Error names the VM and the status.
func (e *RemoteStatus) Error() string { return e.VM.Title() + ": " + e.Err.Error() }

// Unwrap returns the SSH layer's error.
func (e *RemoteStatus) Unwrap() error { return e.Err }

// Session opens a shell or runs a command on the VM as ssh would. A status
// other than 0 of the command is a *RemoteStatus, everything else an *Error.
func (rm *Remote) Session(ctx context.Context, vm inventory.VM, o sshconn.RunOptions, forwards []sshconn.ForwardSpec) error {
	if len(forwards) == 0 && o.AgentSocket == "" {
		conn, err := rm.o.Access.Borrow(ctx, vm, access.How{Banner: showBanner(o)})
		if err != nil {
			return err
		}
		defer conn.Close()
		return sessionError(ctx, vm, conn.With(ctx, func(c *sshconn.Conn) error { return c.Run(ctx, o) }))
	}
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{Banner: showBanner(o)})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := rm.forward(ctx, vm, conn, forwards); err != nil {
		return err
	}
	return sessionError(ctx, vm, conn.Run(ctx, o))
}

// showBanner shows what the SSH server says before the login where OpenSSH does.
func showBanner(o sshconn.RunOptions) func(string) {
	if o.Quiet || o.Stderr == nil {
		return nil
	}
	return func(text string) { _, _ = io.WriteString(o.Stderr, text) }
}

// sessionError separates the command's own status from trouble on the way.
func sessionError(ctx context.Context, vm inventory.VM, err error) error {
	var exit *sshconn.ExitError
	switch {
	case errors.Is(err, sshconn.ErrDisconnected):
		return nil
	case errors.As(err, &exit):
		return &RemoteStatus{VM: vm, Status: exit.ExitStatus(), Err: err}
	}
	e := problem.Error{Kind: problem.Unreachable, What: "the session on " + vm.Title() + " ended", Origin: problem.OriginSSH, Retryable: true,
		Next: "connect again; vers-fleet drill shows which VMs can be reached"}
	return problem.Of(ctx, err, e, func(e *problem.Error) {
		if e.Kind != problem.Interrupted && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			*e = *problem.OutOfTime("the session on "+vm.Title()+" was ended", err)
		}
	})
}

// forward sets up all forwards of a session.
func (rm *Remote) forward(ctx context.Context, vm inventory.VM, conn *sshconn.Conn, forwards []sshconn.ForwardSpec) error {
	for _, spec := range forwards {
		at, err := conn.Forward(ctx, spec)
		if err != nil {
			return explainForward(vm, err)
		}
		if spec.Listen.Path == "" && spec.Listen.Port == 0 {
			rm.o.Warn("forwarding " + at.String())
		}
	}
	return nil
}

// explainForward gives a forwarding that cannot be set up its words.
func explainForward(vm inventory.VM, err error) error {
	e := &problem.Error{Kind: problem.Usage, What: "cannot forward through " + vm.Title(), Why: err.Error(), Origin: problem.OriginSSH, Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Origin, e.Next = problem.OriginLocal, "give another port, or 0 for any that is free"
	case errors.Is(err, sshconn.ErrRefused):
		e.Next = "the port may be taken on the VM: give another one, or 0 for any; or its sshd allows no forwarding"
	}
	return e
}

// Hold keeps a connection open for its forwards alone (ssh -N) until ctx ends
// or the connection is lost.
func (rm *Remote) Hold(ctx context.Context, vm inventory.VM, forwards []sshconn.ForwardSpec) error {
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := rm.forward(ctx, vm, conn, forwards); err != nil {
		return err
	}
	conn.OnNote(rm.o.Warn)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	return sessionError(ctx, vm, conn.Wait())
}

// StdioForward joins in and out to an address as seen from the VM (ssh -W).
func (rm *Remote) StdioForward(ctx context.Context, vm inventory.VM, address string, in io.Reader, out io.Writer) error {
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.Stdio(ctx, address, in, out)
	if errors.Is(err, sshconn.ErrRefused) {
		return &problem.Error{Kind: problem.Unreachable, What: "cannot connect from " + vm.Title() + " to " + address, Why: err.Error(), Origin: problem.OriginRemote, Err: err,
			Next: "see on the VM whether something listens there"}
	}
	return sessionError(ctx, vm, err)
}
