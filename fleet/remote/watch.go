package remote

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/retry"
)

// WatchRequest keeps a local mirror of a selection fresh.
type WatchRequest struct {
	Selection inventory.Selection
	Paths     func(inventory.VM) []string // what to fetch from a VM; nil or none means the configured pull paths
	Pull      PullRequest                 // its Items are chosen anew each round
	Interval  time.Duration               // between the end of a round and the next
	OnRound   func(WatchRound)            // called at the end of each round, one at a time
}

// WatchRound is what one round of a Watch brought.
type WatchRound struct {
	Results []PullResult
	Outage  *problem.Error // why the recorded list of VMs had to serve; nil = it is the API's
	Err     error          // why there are no results, or the first failure among them
}

// Watch pulls again and again until ctx ends. It follows VMs that come and go,
// goes on through outages of the API and of single VMs, and keeps its
// connections open, so that a round without changes costs a listing per VM.
// What does not mend itself ends it if it is there from the start. The error
// is nil when ctx's time is over, and of kind Interrupted when ctx was canceled.
func (rm *Remote) Watch(ctx context.Context, r WatchRequest) error {
	pool := &connPool{open: map[string]*sshconn.Conn{}}
	defer pool.close()
	for first := true; ; first = false {
		round := rm.watchRound(ctx, r, pool)
		if ctx.Err() == nil && round.Err != nil && !problem.WatchGoesOn(round.Err, first) {
			return round.Err
		}
		if ctx.Err() == nil {
			if r.OnRound != nil {
				r.OnRound(round)
			}
			_ = retry.Sleep(ctx, r.Interval)
		}
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return &problem.Error{Kind: problem.Interrupted, What: "interrupted", Origin: problem.OriginLocal, Err: ctx.Err()}
		case ctx.Err() != nil:
			return nil
		}
	}
}

func (rm *Remote) watchRound(ctx context.Context, r WatchRequest, pool *connPool) (round WatchRound) {
	// A VM that was asked for by name is tried even if the API no longer lists
	// it: a listing may be incomplete, and the others must not wait for it.
	list, err := rm.o.List(ctx, inventory.ListOptions{Gone: len(r.Selection.Names) > 0})
	if err != nil {
		return WatchRound{Err: err}
	}
	round.Outage = list.Outage
	vms, err := list.Select(r.Selection)
	if err != nil {
		round.Err = err
		return round
	}
	req := r.Pull
	req.Items, req.pool = nil, pool
	for _, vm := range vms {
		item := PullItem{VM: vm}
		if r.Paths != nil {
			item.Paths = r.Paths(vm)
		}
		req.Items = append(req.Items, item)
	}
	pool.keepOnly(vms)
	round.Results, round.Err = rm.Pull(ctx, req)
	return round
}

// connPool keeps one connection per VM open between rounds.
type connPool struct {
	mu   sync.Mutex
	open map[string]*sshconn.Conn
}

// get returns the VM's open connection, or a new one.
func (p *connPool) get(ctx context.Context, rm *Remote, vm inventory.VM) (*sshconn.Conn, error) {
	p.mu.Lock()
	conn := p.open[vm.ID]
	p.mu.Unlock()
	if conn != nil {
		select {
		case <-conn.Done():
		default:
			return conn, nil
		}
	}
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[vm.ID] = conn
	return conn, nil
}

// drop closes the connection of a VM whose pull failed.
func (p *connPool) drop(vm inventory.VM) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if conn := p.open[vm.ID]; conn != nil {
		_ = conn.Close()
		delete(p.open, vm.ID)
	}
}

// keepOnly closes the connections of VMs that are no longer watched.
func (p *connPool) keepOnly(vms []inventory.VM) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := map[string]bool{}
	for _, vm := range vms {
		keep[vm.ID] = true
	}
	for id, conn := range p.open {
		if !keep[id] {
			_ = conn.Close()
			delete(p.open, id)
		}
	}
}

func (p *connPool) close() { p.keepOnly(nil) }
