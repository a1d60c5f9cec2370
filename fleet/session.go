package fleet

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// RemoteStatus is the error of a command on a VM that ended with a status
// other than 0. The status is what the caller should exit with.
type RemoteStatus struct {
	VM     VM
	Status int
	Err    error
}

// Error names the VM and the status.
func (e *RemoteStatus) Error() string { return e.VM.Title() + ": " + e.Err.Error() }

// Unwrap returns the SSH layer's error.
func (e *RemoteStatus) Unwrap() error { return e.Err }

// ExitStatus is the command's own status.
func (e *RemoteStatus) ExitStatus() int { return e.Status }

// Session opens a shell or runs a command on the VM as ssh would. A status
// other than 0 of the command is a *RemoteStatus, everything else an *Error.
func (f *Fleet) Session(ctx context.Context, vm VM, o sshconn.RunOptions, forwards []sshconn.ForwardSpec) error {
	if len(forwards) == 0 && o.AgentSocket == "" {
		conn, err := f.lend(ctx, vm)
		if err != nil {
			return err
		}
		defer conn.Close()
		return f.sessionError(ctx, vm, conn.with(ctx, func(c *sshconn.Conn) error { return c.Run(ctx, o) }))
	}
	conn, err := f.Connect(ctx, vm)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := f.forward(ctx, vm, conn, forwards); err != nil {
		return err
	}
	return f.sessionError(ctx, vm, conn.Run(ctx, o))
}

// sessionError separates the command's own status from trouble on the way.
func (f *Fleet) sessionError(ctx context.Context, vm VM, err error) error {
	var exit *sshconn.ExitError
	switch {
	case err == nil, errors.Is(err, sshconn.ErrDisconnected):
		return nil
	case errors.As(err, &exit):
		return &RemoteStatus{VM: vm, Status: exit.ExitStatus(), Err: err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return outOfTime("the session on "+vm.Title()+" was ended", err)
	case ctx.Err() != nil:
		return &Error{Kind: Interrupted, What: "interrupted", Why: "the session on " + vm.Title() + " was ended", Origin: OriginLocal, Err: err}
	}
	e := &Error{Kind: Unreachable, What: "the session on " + vm.Title() + " ended", Why: err.Error(), Origin: OriginSSH, Retryable: true, Err: err,
		Next: "connect again; vers-fleet drill shows which VMs can be reached"}
	return e
}

// outOfTime is the error of work on a VM that --timeout ended.
func outOfTime(what string, err error) *Error {
	return &Error{Kind: Unreachable, What: what, Why: "the time given by --timeout is over", Origin: OriginLocal, Retryable: true, Err: err,
		Next: "give it longer with --timeout"}
}

// forward sets up all forwards of a session.
func (f *Fleet) forward(ctx context.Context, vm VM, conn *sshconn.Conn, forwards []sshconn.ForwardSpec) error {
	for _, spec := range forwards {
		if _, err := conn.Forward(ctx, spec); err != nil {
			return f.explainForward(vm, err)
		}
	}
	return nil
}

// explainForward gives a forwarding that cannot be set up its words.
func (f *Fleet) explainForward(vm VM, err error) error {
	return &Error{Kind: Usage, What: "cannot forward through " + vm.Title(), Why: err.Error(), Origin: OriginSSH, Err: err}
}

// Hold keeps a connection open for its forwards alone (ssh -N) until ctx ends
// or the connection is lost.
func (f *Fleet) Hold(ctx context.Context, vm VM, forwards []sshconn.ForwardSpec) error {
	conn, err := f.Connect(ctx, vm)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := f.forward(ctx, vm, conn, forwards); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	return f.sessionError(ctx, vm, conn.Wait())
}

// Proxy joins in and out to the VM's SSH port, for use as a ProxyCommand. It
// needs no key.
func (f *Fleet) Proxy(ctx context.Context, vm VM, in io.Reader, out io.Writer) error {
	target, _, err := f.target(vm)
	if err != nil {
		return err
	}
	return f.explain(ctx, vm, f.dialer.Proxy(ctx, target, in, out))
}

// ExecResult is what a command did on one VM.
type ExecResult struct {
	VMID     string  `json:"vm_id"`
	VMName   string  `json:"name,omitempty"`
	Status   int     `json:"exit_status"` // 255 when the command could not be run
	Duration float64 `json:"duration_seconds"`
	Error    string  `json:"error,omitempty"`
	Err      error   `json:"-"`
}

// ExecRequest is a command for many VMs.
type ExecRequest struct {
	VMs      []VM
	Command  string
	Jobs     int           // side by side; 0 = 16
	Timeout  time.Duration // per VM; 0 = none
	FailFast bool          // the first failure stops the rest
	Stdin    func() io.Reader
	Output   func(VM) (stdout, stderr io.Writer)
	OnDone   func(ExecResult) // one at a time
}

// execJobs is how many VMs run a command side by side unless told else.
const execJobs = 16

// Exec runs a command on every VM, side by side. The error is nil when it
// ended with status 0 everywhere; for one VM it is that VM's, for several its
// kind is Partial.
func (f *Fleet) Exec(ctx context.Context, r ExecRequest) ([]ExecResult, error) {
	parent := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if r.Jobs <= 0 {
		r.Jobs = execJobs
	}
	f = f.forMany(len(r.VMs))
	results := make([]ExecResult, len(r.VMs))
	var mu sync.Mutex
	eachBounded(len(r.VMs), r.Jobs, func(n int) {
		res := f.execOne(ctx, r, r.VMs[n])
		mu.Lock()
		defer mu.Unlock()
		results[n] = res
		if res.Err != nil && r.FailFast {
			stop()
		}
		if r.OnDone != nil {
			r.OnDone(res)
		}
	})
	if errors.Is(parent.Err(), context.Canceled) {
		return results, &Error{Kind: Interrupted, What: "interrupted", Why: "the commands were not all run to their end", Origin: OriginLocal}
	}
	return results, execError(results)
}

func (f *Fleet) execOne(ctx context.Context, r ExecRequest, vm VM) ExecResult {
	res := ExecResult{VMID: vm.ID, VMName: vm.Name, Status: 255}
	began := f.o.Now()
	if r.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, r.Timeout)
		defer stop()
	}
	res.Err = f.execOn(ctx, r, vm)
	res.Duration = f.o.Now().Sub(began).Seconds()
	var remote *RemoteStatus
	switch {
	case res.Err == nil:
		res.Status = 0
	case errors.As(res.Err, &remote):
		res.Status = remote.Status
		res.Error = remote.Err.Error()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		late := outOfTime("the command on "+vm.Title()+" was stopped", res.Err)
		if r.Timeout > 0 {
			late.Why = "it took longer than " + r.Timeout.String()
		}
		res.Err = late
		res.Error = why(res.Err)
	default:
		res.Error = why(res.Err)
	}
	return res
}

func (f *Fleet) execOn(ctx context.Context, r ExecRequest, vm VM) error {
	if err := ctx.Err(); err != nil {
		return f.sessionError(ctx, vm, err)
	}
	conn, err := f.lend(ctx, vm)
	if err != nil {
		return err
	}
	defer conn.Close()
	stdout, stderr := r.Output(vm)
	var in io.Reader
	if r.Stdin != nil {
		in = r.Stdin()
	}
	return f.sessionError(ctx, vm, conn.Exec(ctx, r.Command, in, stdout, stderr))
}

func execError(results []ExecResult) error {
	var failed []ExecResult
	for _, r := range results {
		if r.Err != nil {
			failed = append(failed, r)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	if len(results) == 1 {
		return failed[0].Err
	}
	// No cause is set: the summary must not pass for one VM's exit status.
	e := &Error{Kind: Partial, What: countOf(len(failed), len(results)) + " failed", Origin: OriginRemote}
	for i, r := range failed {
		if i == 5 {
			e.Why += ", ..."
			break
		}
		if i > 0 {
			e.Why += ", "
		}
		e.Why += orElse(r.VMName, r.VMID) + " (" + r.Error + ")"
	}
	return e
}
