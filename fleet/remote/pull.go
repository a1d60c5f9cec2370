package remote

import (
	"cmp"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

// PullItem is one VM's part of a pull.
type PullItem struct {
	VM    inventory.VM
	Paths []string // on the VM; none, and "" among them, means the configured pull paths
}

// Add adds a path, once; "" is the configured pull paths.
func (item *PullItem) Add(path string) {
	if !slices.Contains(item.Paths, path) {
		item.Paths = append(item.Paths, path)
	}
}

// named reports whether all that is pulled was named by its path.
func (item PullItem) named() bool {
	return len(item.Paths) > 0 && !slices.Contains(item.Paths, "")
}

// paths is what is fetched from the VM.
func (item PullItem) paths(configured []string) []string {
	if len(item.Paths) == 0 {
		return configured
	}
	out := PullItem{}
	for _, p := range item.Paths {
		if p != "" {
			out.Add(p)
			continue
		}
		for _, c := range configured {
			out.Add(c)
		}
	}
	return out.Paths
}

// PullRequest says what to fetch. Dest "" means the current folder for one VM
// with named paths, else a folder named after each VM.
type PullRequest struct {
	Items   []PullItem
	Dest    string
	PerVM   bool // a folder for each VM even if there is only one (--all, -l)
	Jobs    int  // VMs worked on side by side; 0 = PullJobs
	Options transfer.PullOptions
	OnEvent func(inventory.VM, transfer.Event) // called from several goroutines
	OnDone  func(PullResult)                   // called as each VM is done, one at a time

	// Await, if not nil, is called for each VM, for all at once, and its files
	// are fetched when it returns, unless with an error. What it returns is
	// how the lieutenant's task ended.
	Await func(context.Context, inventory.VM) (Activity, error)

	// OnWaiting, if not nil, is told which of several VMs are left when nothing
	// has come from any of them for as long as Patience (0 = the constant).
	OnWaiting func([]inventory.VM)
	Patience  time.Duration

	found  func(inventory.VM, transfer.Difference) // of Diff: nothing is fetched
	keep   *keptConn                               // of a VM that is watched
	budget *connBudget                             // of this pull
}

// PullJobs is the same of a pull: it waits for the network more than it works,
// and a fleet of a dozen VMs should not come in waves.
const PullJobs = 16

// connBudget tells each pull at work how many connections it may have, so that all
// together have about as many as pay: sshd's limits are each VM's own, but the
// processors here are shared. Safe for concurrent use.
type connBudget struct{ working atomic.Int64 }

// now is the share of one pull: 8 connections (see transfer) if there are few
// pulls, never less than 2, because at a distance one is bound by its windows.
func (s *connBudget) now() int { return max(2, 32/int(max(1, s.working.Load()))) }

// Pull fetches files from VMs, each over its own connection and into its own
// folder. One VM that fails does not hold up the others. The error is nil when
// everything came; with one VM it is that VM's, with several its kind is
// Partial. A DEST in vers-fleet's own folders is refused with kind Usage.
func (rm *Remote) Pull(ctx context.Context, r PullRequest) ([]PullResult, error) {
	if err := rm.mayWrite(r); err != nil {
		return nil, err
	}
	r.budget = &connBudget{}
	if r.Jobs <= 0 {
		r.Jobs = PullJobs
	}
	width, slots := r.Jobs, make(chan struct{}, max(r.Jobs, len(r.Items)))
	if r.Await != nil { // all at once, however long; then there is a slot for Jobs of them
		width, slots, r.OnWaiting = len(r.Items), make(chan struct{}, r.Jobs), nil
	}
	vms := make([]inventory.VM, len(r.Items))
	for i, item := range r.Items {
		vms[i] = item.VM
	}
	results := make([]PullResult, len(r.Items))
	var mu sync.Mutex
	sideBySide(vms, side{max(1, width), r.Jobs < PullJobs, r.Patience, r.OnWaiting}, func(n int, alive func()) {
		item, end := r.Items[n], Activity{}
		if r.Await != nil {
			var err error
			if end, err = r.Await(ctx, item.VM); err != nil {
				results[n] = newPullResult(item.VM, r.destOf(item), r.Options.DryRun).failed(err)
				return
			}
		}
		slots <- struct{}{}
		res := rm.pullOne(ctx, r, item, alive)
		<-slots
		res.Phase, res.PhaseText = end.Phase, end.Text
		mu.Lock()
		defer mu.Unlock()
		results[n] = res
		if r.OnDone != nil {
			r.OnDone(res)
		}
	})
	return results, pullError(ctx, results, r.Options.MaxTotal)
}

// mayWrite refuses a DEST in vers-fleet's own folders.
func (rm *Remote) mayWrite(r PullRequest) error {
	for _, item := range r.Items {
		if in, ok := transfer.Within(r.destOf(item), rm.o.Own); ok {
			return &problem.Error{Kind: problem.Usage, What: "cannot pull into " + safe.Line(r.destOf(item)), Origin: problem.OriginLocal,
				Why: "it lies in " + in + ", which is vers-fleet's own configuration or state", Next: "choose another DEST"}
		}
	}
	return nil
}

// destOf is where the item's files land: the rule that PullRequest and vers-fleet
// pull --help state.
func (r PullRequest) destOf(item PullItem) string {
	folder := folderName(r.Items, item.VM)
	switch {
	case len(r.Items) > 1 || r.PerVM:
		return filepath.Join(cmp.Or(r.Dest, "."), folder)
	case r.Dest != "":
		return r.Dest
	case item.named():
		return "."
	}
	return folder
}

// folderName is the VM's name, with a part of its id where two VMs of the same
// pull share the name, or the id of a VM without one.
func folderName(items []PullItem, vm inventory.VM) string {
	for _, other := range items {
		if other.VM.ID != vm.ID && strings.EqualFold(other.VM.Title(), vm.Title()) {
			return vm.Title() + "-" + vm.ID
		}
	}
	return vm.Title()
}

// pullOne fetches one VM's files, and tells alive of signs of life.
func (rm *Remote) pullOne(ctx context.Context, r PullRequest, item PullItem, alive func()) (res PullResult) {
	r.budget.working.Add(1)
	defer r.budget.working.Add(-1)
	began := rm.o.Now()
	res = newPullResult(item.VM, r.destOf(item), r.Options.DryRun)
	defer func() { res.Duration = rm.o.Now().Sub(began).Seconds() }()
	if err := ctx.Err(); err != nil {
		return res.failed(transferError(ctx, item.VM, "pull from", err))
	}
	conn, done, err := rm.pullConn(ctx, r.keep, item.VM)
	if err != nil {
		return res.failed(err)
	}
	defer func() { done(res.Err) }()
	res.HostKey = conn.Info().Fingerprint
	if rec, err := rm.o.Store.Record(item.VM.ID); err == nil {
		res.Key.Source = rec.Source
	}
	o := r.Options
	o.Dest, o.Source, o.Logf = res.Dest, item.VM.ID, rm.o.Logf
	o.Paths, o.ConnsNow = item.paths(rm.o.PullPaths), r.budget.now
	o.Events = func(e transfer.Event) {
		if e.Kind != transfer.EventRetry {
			alive()
		}
		if r.OnEvent != nil {
			r.OnEvent(item.VM, e)
		}
	}
	o.Own, o.Home, o.Notable = rm.o.Own, rm.o.UserHome, notable
	if r.found != nil {
		sum, err := transfer.Diff(ctx, rm.remote(item.VM, conn), o, func(d transfer.Difference) { r.found(item.VM, d) })
		res.fill(sum)
		return res.failed(transferError(ctx, item.VM, "compare with", err))
	}
	sum, err := transfer.Pull(ctx, rm.remote(item.VM, conn), o)
	res.fill(sum)
	res.Beware = bewareOf(res.Dest, sum.Notable)
	return res.failed(transferError(ctx, item.VM, "pull from", err))
}

// pullConn returns a connection and what to do with it afterwards: close it,
// or leave it open for the VM's next round of a watch unless the pull failed.
func (rm *Remote) pullConn(ctx context.Context, keep *keptConn, vm inventory.VM) (*sshconn.Conn, func(error), error) {
	if keep != nil && keep.alive() {
		return keep.conn, keep.settle, nil
	}
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if keep == nil || err != nil {
		return conn, func(error) { _ = conn.Close() }, err
	}
	keep.close()
	keep.conn = conn
	return conn, keep.settle, nil
}

// remote hands a connection to the transfer engine, with the means to make
// more of them.
func (rm *Remote) remote(vm inventory.VM, conn *sshconn.Conn) transfer.Remote {
	dial := func(ctx context.Context) (transfer.Conn, error) {
		c, err := rm.o.Access.Dial(ctx, vm, access.How{})
		if err != nil {
			return nil, err
		}
		return transferConn{c}, nil
	}
	return transfer.Remote{Conn: transferConn{conn}, Dial: dial, Redial: dial}
}

// transferConn is a connection that tells the transfer engine by its own word that
// the server opens no further session.
type transferConn struct{ *sshconn.Conn }

// Exec runs a command.
func (c transferConn) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	return noSession(c.Conn.Exec(ctx, cmd, stdin, stdout, stderr))
}

// OpenSubsystem opens a subsystem.
func (c transferConn) OpenSubsystem(ctx context.Context, name string) (io.ReadWriteCloser, error) {
	rw, err := c.Conn.OpenSubsystem(ctx, name)
	return rw, noSession(err)
}

func noSession(err error) error {
	if errors.Is(err, sshconn.ErrSessionLimit) {
		return transfer.NoSession(err)
	}
	return err
}

// Push sends files to one VM. Its result has the form of a pull's, with the
// folder on the VM as Dest.
func (rm *Remote) Push(ctx context.Context, vm inventory.VM, o transfer.PushOptions) (res PullResult, err error) {
	began := rm.o.Now()
	res = newPullResult(vm, o.Dest, o.DryRun)
	defer func() { res.Duration = rm.o.Now().Sub(began).Seconds() }()
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return res.failed(err), err
	}
	defer conn.Close()
	res.HostKey, o.Source, o.Logf = conn.Info().Fingerprint, vm.ID, rm.o.Logf
	sum, err := transfer.Push(ctx, rm.remote(vm, conn), o)
	res.fill(sum)
	res = res.failed(transferError(ctx, vm, pushVerb, withPlaced(err, res)))
	if err == nil && res.Failed > 0 {
		return res, pushFilesError(res)
	}
	return res, res.Err
}
