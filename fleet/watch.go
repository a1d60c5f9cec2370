package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// WatchRequest keeps a local mirror of a selection fresh.
type WatchRequest struct {
	Selection Selection
	Paths     func(VM) []string // what to fetch from a VM; nil or none means the configured pull paths
	Pull      PullRequest       // its Items are chosen anew each round
	Interval  time.Duration     // between the end of a round and the next
	OnRound   func([]PullResult, error)
}

// Watch pulls again and again until ctx ends. It follows VMs that come and go,
// goes on through outages of the API and of single VMs, and keeps its
// connections open, so that a round without changes costs a listing per VM.
func (f *Fleet) Watch(ctx context.Context, r WatchRequest) error {
	pool := &connPool{open: map[string]*sshconn.Conn{}}
	defer pool.close()
	for {
		results, err := f.watchRound(ctx, r, pool)
		if ctx.Err() != nil {
			return nil // the way to end a watch
		}
		if k := kindOf(err); err != nil && (k == Usage || k == Ambiguous || k == Storage) {
			return err // does not go away by itself
		}
		if r.OnRound != nil {
			r.OnRound(results, err)
		}
		if err := sleep(ctx, r.Interval); err != nil {
			return nil
		}
	}
}

func (f *Fleet) watchRound(ctx context.Context, r WatchRequest, pool *connPool) ([]PullResult, error) {
	list, err := f.List(ctx, ListOptions{})
	if err != nil {
		return nil, err
	}
	vms, err := list.Select(r.Selection)
	if err != nil {
		return nil, err
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
	return f.Pull(ctx, req)
}

// connPool keeps one connection per VM open between rounds.
type connPool struct {
	mu   sync.Mutex
	open map[string]*sshconn.Conn
}

// get returns the VM's open connection, or a new one.
func (p *connPool) get(ctx context.Context, f *Fleet, vm VM) (*sshconn.Conn, error) {
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
	conn, err := f.Connect(ctx, vm)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[vm.ID] = conn
	return conn, nil
}

// drop closes the connection of a VM whose pull failed.
func (p *connPool) drop(vm VM) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if conn := p.open[vm.ID]; conn != nil {
		_ = conn.Close()
		delete(p.open, vm.ID)
	}
}

// keepOnly closes the connections of VMs that are no longer watched.
func (p *connPool) keepOnly(vms []VM) {
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
