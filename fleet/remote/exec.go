package remote

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

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
	VMs      []inventory.VM
	Command  string        // a line for the login shell; see CommandLine
	Jobs     int           // side by side; 0 = ExecJobs; fewer where few files may be open; if fewer than ExecJobs, never more
	Timeout  time.Duration // per VM; 0 = none
	FailFast bool          // the first failure stops the rest
	Stdin    func() io.Reader
	Output   func(inventory.VM) (stdout, stderr io.Writer)
	OnDone   func(ExecResult)                   // one at a time
	Banner   func(vm inventory.VM, text string) // what its SSH server says before the login; nil drops it

	// OnWaiting, if not nil, is told which of several VMs are left when nothing
	// has come from any of them for as long as Patience.
	OnWaiting func([]inventory.VM)
}

// ExecJobs is how many VMs run a command side by side unless told else: each
// is another server, and every round of fewer than all costs as much as a VM.
const ExecJobs = 128

// execFiles is how many files one VM needs open at once: while it connects,
// sockets for the name server and several addresses.
const execFiles = 4

// CommandLine is what the words of a command line ask a VM's shell to run:
// several are one command with exactly these arguments, a single one is a line
// of shell.
func CommandLine(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return safe.Words(words...)
}

// Exec runs a command on every VM, side by side. The error is nil when it
// ended with status 0 everywhere; for one VM it is that VM's, for several its
// kind is Partial. A command that is not awaited any longer, because of ctx,
// Timeout or FailFast, may run on: sshd passes no signal to root's commands.
func (rm *Remote) Exec(ctx context.Context, r ExecRequest) ([]ExecResult, error) {
	parent := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if r.Jobs <= 0 {
		r.Jobs = ExecJobs
	}
	most := max(1, filesMost()/execFiles)
	strict := r.Jobs < ExecJobs || most < len(r.VMs)
	r.Jobs = min(r.Jobs, most)
	how, done := rm.o.Access.Batch(len(r.VMs))
	defer done()
	results := make([]ExecResult, len(r.VMs))
	var mu sync.Mutex
	sideBySide(r.VMs, side{jobs: r.Jobs, strict: strict, waiting: r.OnWaiting}, func(n int, alive func()) {
		res := rm.execOne(ctx, r, r.VMs[n], how, alive)
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
	return results, execError(parent, results)
}

func (rm *Remote) execOne(ctx context.Context, r ExecRequest, vm inventory.VM, how access.How, alive func()) ExecResult {
	res := ExecResult{VMID: vm.ID, VMName: vm.Name, Status: 255}
	all := ctx
	if all.Err() != nil {
		res.Err = stopped(vm, "not started")
		res.Error = problem.Why(res.Err)
		return res
	}
	began := rm.o.Now()
	if r.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = problem.WithTimeout(ctx, r.Timeout)
		defer stop()
	}
	res.Err = rm.execOn(ctx, r, vm, how, alive)
	res.Duration = rm.o.Now().Sub(began).Seconds()
	var remote *RemoteStatus
	switch {
	case res.Err == nil:
		res.Status = 0
		return res
	case errors.As(res.Err, &remote):
		res.Status, res.Error = remote.Status, remote.Err.Error()
		return res
	case all.Err() != nil && !errors.Is(all.Err(), context.DeadlineExceeded):
		res.Err = stopped(vm, "stopped before its end")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		late := problem.OutOfTime("the command on " + vm.Title() + " did not end in time")
		if r.Timeout > 0 {
			late.Why = "it took longer than " + r.Timeout.String()
		}
		res.Err = late
	}
	res.Error = problem.Why(res.Err)
	return res
}

func stopped(vm inventory.VM, how string) error {
	return &problem.Error{Kind: problem.Interrupted, What: "the command on " + vm.Title() + " was not awaited", Why: how, Origin: problem.OriginLocal, Err: problem.ErrStopped}
}

func (rm *Remote) execOn(ctx context.Context, r ExecRequest, vm inventory.VM, how access.How, alive func()) error {
	if r.Banner != nil {
		how.Banner = once(func(text string) { r.Banner(vm, text) })
	}
	conn, err := rm.o.Access.Borrow(ctx, vm, how)
	if err != nil {
		return err
	}
	defer conn.Close()
	stdout, stderr := r.Output(vm)
	var in io.Reader
	if r.Stdin != nil {
		in = r.Stdin()
	}
	count := func(int) { alive() }
	return sessionError(ctx, vm, conn.Exec(ctx, r.Command, in, countedWriter{stdout, count}, countedWriter{stderr, count}))
}

// mayRunOn is the advice where a command was not awaited.
const mayRunOn = "where the command had begun, it may still be running"

// execError sums up what became of the command on each VM.
func execError(ctx context.Context, results []ExecResult) error {
	all := make([]problem.Outcome, len(results))
	for i, r := range results {
		all[i] = problem.Outcome{Name: cmp.Or(r.VMName, r.VMID), Why: r.Error, Err: r.Err}
	}
	return problem.Sum{Failed: "failed", Cut: mayRunOn, Origin: problem.OriginRemote}.Of(ctx, all)
}
