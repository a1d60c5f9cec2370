package remote

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// WatchRequest keeps a local mirror of a selection fresh. Its functions are
// called one at a time.
type WatchRequest struct {
	Selection inventory.Selection
	Paths     func(inventory.VM) []string       // what to fetch from a VM; nil or none means the configured pull paths
	Skip      func(inventory.VM) bool           // not nil: VMs that are left out as long as it says so
	Mode      outage.Mode                       // of the listings
	Wake      func(vmID string) <-chan struct{} // not nil: what begins a VM's next round at once; of "" the next listing
	Pull      PullRequest                       // its Items are chosen anew with each listing
	Interval  time.Duration                     // between a VM's rounds, and between listings
	OnList    func(WatchList)                   // who is watched
	OnResult  func(PullResult)                  // what a VM's round brought
	OnLate    func(inventory.VM)                // nothing has come from it for as long as Pull.Patience; told again with each further one
}

// WatchList tells whom a Watch follows.
type WatchList struct {
	VMs    []inventory.VM
	Dests  []string       // where the files of each land
	Outage *problem.Error // why the recorded list of VMs had to serve; nil = it is the API's
	Err    error          // why there is none; then those of the last one are followed on
}

// Watch pulls again and again until ctx ends. Each VM has rounds of its own, so
// that none waits for another; a VM's begins Interval after its last one ended.
// It follows VMs that come and go, goes on through outages of the API and of
// single VMs, and keeps its connections open, so that a round without changes
// costs a listing. What does not mend itself ends it if it is there from the
// start. The error is nil when ctx's time is over, and of kind Interrupted when
// ctx was canceled.
func (rm *Remote) Watch(ctx context.Context, r WatchRequest) error {
	parent := ctx
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	w := &watch{rm: rm, r: r, end: end, followed: map[string]context.CancelFunc{}}
	w.r.Pull.budget = &connBudget{}
	if w.r.Pull.Jobs <= 0 {
		w.r.Pull.Jobs = PullJobs
	}
	w.places = make(chan struct{}, w.r.Pull.Jobs)
	for ctx.Err() == nil {
		w.list(ctx)
		w.pause(ctx, "")
	}
	w.wg.Wait()
	switch {
	case errors.Is(parent.Err(), context.Canceled):
		return &problem.Error{Kind: problem.Interrupted, What: "interrupted", Origin: problem.OriginLocal, Err: ctx.Err()}
	case parent.Err() != nil:
		return nil
	}
	return context.Cause(ctx)
}

// watch is a Watch at work.
type watch struct {
	rm     *Remote
	r      WatchRequest
	end    context.CancelCauseFunc // ends it with an error
	places chan struct{}
	wg     sync.WaitGroup

	mu       sync.Mutex // also held while the request's functions are called
	items    []PullItem // of the last listing
	followed map[string]context.CancelFunc
	listed   bool // there was a listing
	begun    bool // a VM's round has ended
}

// list asks who is to be watched, begins with those that are new and ends with
// those that are gone.
func (w *watch) list(ctx context.Context) {
	// A VM that was asked for by name is tried even if the API no longer lists
	// it: a listing may be incomplete, and the others must not wait for it.
	list, err := w.rm.o.List(ctx, inventory.ListOptions{Mode: w.r.Mode, Gone: len(w.r.Selection.Names) > 0})
	var vms []inventory.VM
	if err == nil {
		vms, err = list.Select(w.r.Selection)
	}
	if w.r.Skip != nil {
		vms = slices.DeleteFunc(vms, w.r.Skip)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !problem.WatchGoesOn(err, !w.listed):
		w.end(err)
		return
	case err == nil:
		w.items, w.listed = w.itemsOf(vms), true
		if err := w.rm.mayWrite(w.request()); err != nil {
			w.end(err)
			return
		}
	}
	if w.r.OnList != nil {
		w.r.OnList(WatchList{VMs: vms, Dests: w.dests(), Outage: list.Outage, Err: err})
	}
	if err == nil {
		w.follow(ctx)
	}
}

func (w *watch) itemsOf(vms []inventory.VM) []PullItem {
	items := make([]PullItem, len(vms))
	for i, vm := range vms {
		items[i].VM = vm
		if w.r.Paths != nil {
			items[i].Paths = w.r.Paths(vm)
		}
	}
	return items
}

// dests is where the files of each of the items land.
func (w *watch) dests() []string {
	req := w.request()
	out := make([]string, len(req.Items))
	for i, item := range req.Items {
		out[i] = req.destOf(item)
	}
	return out
}

// request is what a VM's round asks for. It has the items of all, which decide
// how folders are named.
func (w *watch) request() PullRequest {
	req := w.r.Pull
	req.Items = w.items
	return req
}

// follow begins the rounds of VMs that are new, and ends those of VMs that are no
// longer among the items.
func (w *watch) follow(ctx context.Context) {
	now := map[string]bool{}
	for _, item := range w.items {
		id := item.VM.ID
		now[id] = true
		if w.followed[id] == nil {
			var ctxVM context.Context
			ctxVM, w.followed[id] = context.WithCancel(ctx)
			w.wg.Go(func() { w.rounds(ctxVM, id) })
		}
	}
	for id, stop := range w.followed {
		if !now[id] {
			stop()
			delete(w.followed, id)
		}
	}
}

// rounds pulls from one VM again and again.
func (w *watch) rounds(ctx context.Context, id string) {
	keep := &keptConn{}
	defer keep.close()
	for ctx.Err() == nil {
		select {
		case w.places <- struct{}{}:
			w.round(ctx, id, keep)
			w.pause(ctx, id)
		case <-ctx.Done():
		}
	}
}

// pause is what a VM has between two rounds, and "" between two listings.
func (w *watch) pause(ctx context.Context, id string) {
	var woken <-chan struct{}
	if w.r.Wake != nil {
		woken = w.r.Wake(id)
	}
	next := time.NewTimer(w.r.Interval)
	defer next.Stop()
	select {
	case <-next.C:
	case <-woken:
	case <-ctx.Done():
	}
}

// round is one round of one VM, which has a place; if it is silent for long, the
// place goes to another.
func (w *watch) round(ctx context.Context, id string, keep *keptConn) {
	leave := sync.OnceFunc(func() { <-w.places })
	defer leave()
	w.mu.Lock()
	req := w.request()
	w.mu.Unlock()
	n := slices.IndexFunc(req.Items, func(item PullItem) bool { return item.VM.ID == id })
	if n < 0 {
		return
	}
	req.keep = keep
	alive, stop := afterSilence(req.Patience, func() {
		leave()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.r.OnLate != nil && ctx.Err() == nil {
			w.r.OnLate(req.Items[n].VM)
		}
	})
	res := w.rm.pullOne(ctx, req, req.Items[n], alive)
	stop()
	w.ended(ctx, res)
}

// ended tells what a round brought, and ends the watch if it is of no use.
func (w *watch) ended(ctx context.Context, res PullResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return // the VM is gone, or all is over
	}
	err := pullError(ctx, []PullResult{res}, w.r.Pull.Options.MaxTotal)
	if err != nil && !problem.WatchGoesOn(err, !w.begun && len(w.items) == 1) {
		w.end(err)
		return
	}
	w.begun = true
	if w.r.OnResult != nil {
		w.r.OnResult(res)
	}
}

// keptConn is a connection that stays open between a VM's rounds.
type keptConn struct{ conn *sshconn.Conn }

func (k *keptConn) alive() bool {
	if k.conn == nil {
		return false
	}
	select {
	case <-k.conn.Done():
		return false
	default:
		return true
	}
}

// settle closes it if the round failed.
func (k *keptConn) settle(err error) {
	if err != nil {
		k.close()
	}
}

func (k *keptConn) close() {
	if k.conn != nil {
		_ = k.conn.Close()
		k.conn = nil
	}
}
