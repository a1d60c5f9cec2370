package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
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
		conn, err := rm.o.Access.Borrow(ctx, vm, access.How{Banner: banner(o)})
		if err != nil {
			return err
		}
		defer conn.Close()
		return sessionError(ctx, vm, conn.With(ctx, func(c *sshconn.Conn) error { return c.Run(ctx, o) }))
	}
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{Banner: banner(o)})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := rm.forward(ctx, vm, conn, forwards); err != nil {
		return err
	}
	return sessionError(ctx, vm, conn.Run(ctx, o))
}

// banner shows what the SSH server says before the login where OpenSSH does.
func banner(o sshconn.RunOptions) func(string) {
	if o.Quiet || o.Stderr == nil {
		return nil
	}
	return once(func(text string) { _, _ = io.WriteString(o.Stderr, text) })
}

// once shows each text once: a login may take several tries, and a session several
// connections.
func once(show func(string)) func(string) {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if !seen[text] {
			seen[text] = true
			show(text)
		}
	}
}

// IsDisconnected reports whether the person ended the session by typing its escape.
func IsDisconnected(err error) bool { return errors.Is(err, sshconn.ErrDisconnected) }

// sessionError separates the command's own status from trouble on the way.
func sessionError(ctx context.Context, vm inventory.VM, err error) error {
	var exit *sshconn.ExitError
	switch {
	case errors.Is(err, sshconn.ErrDisconnected):
		return &problem.Error{Kind: problem.Interrupted, What: "the session on " + vm.Title() + " was ended by its escape", Origin: problem.OriginLocal, Err: err}
	case errors.As(err, &exit):
		return &RemoteStatus{VM: vm, Status: exit.ExitStatus(), Err: err}
	}
	return problem.Of(ctx, err, problem.Error{Kind: problem.Unreachable, What: "the session on " + vm.Title() + " ended", Origin: problem.OriginSSH, Retryable: true,
		Next: "connect again; vers-fleet drill shows which VMs can be reached"}, nil)
}

// forward sets up all forwards of a session.
func (rm *Remote) forward(ctx context.Context, vm inventory.VM, conn *sshconn.Conn, forwards []sshconn.ForwardSpec) error {
	for _, spec := range forwards {
		at, err := conn.Forward(ctx, spec)
		if err != nil {
			return explainForward(ctx, vm, err)
		}
		if spec.Listen.Path == "" && spec.Listen.Port == 0 {
			rm.o.Warn("forwarding " + at.String())
		}
	}
	return nil
}

// explainForward gives a forwarding that cannot be set up its words.
func explainForward(ctx context.Context, vm inventory.VM, err error) error {
	e := problem.Error{Kind: problem.Unreachable, What: "cannot forward through " + vm.Title(), Origin: problem.OriginSSH}
	return problem.Of(ctx, err, e, func(e *problem.Error) {
		switch {
		case e.Kind == problem.Interrupted:
		case errors.Is(err, syscall.EADDRINUSE):
			e.Origin, e.Next = problem.OriginLocal, "give another port, or 0 for any that is free"
		case errors.Is(err, sshconn.ErrRefused):
			e.Origin, e.Next = problem.OriginRemote, "the port may be taken on the VM: give another one, or 0 for any; or its sshd allows no forwarding"
		case errors.As(err, new(*net.OpError)):
			e.Origin, e.Next = problem.OriginLocal, "give an address and a port that are free on this machine"
		}
	})
}

// Hold keeps a connection open for its forwards alone (ssh -N) until ctx ends
// or the connection is lost.
func (rm *Remote) Hold(ctx context.Context, vm inventory.VM, o sshconn.RunOptions, forwards []sshconn.ForwardSpec) error {
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{Banner: banner(o)})
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

// StdioForward joins o's stdin and stdout to an address as seen from the VM (ssh -W).
func (rm *Remote) StdioForward(ctx context.Context, vm inventory.VM, o sshconn.RunOptions, address string) error {
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{Banner: banner(o)})
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.Stdio(ctx, address, o.Stdin, o.Stdout)
	if errors.Is(err, sshconn.ErrRefused) {
		return &problem.Error{Kind: problem.Unreachable, What: "cannot connect from " + vm.Title() + " to " + address, Why: err.Error(), Origin: problem.OriginRemote, Err: err,
			Next: "see on the VM whether something listens there"}
	}
	return sessionError(ctx, vm, err)
}
