package daemon

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// reachable says that a VM's recorded state accepts SSH.
func reachable(vm inventory.VM) bool { return !quiet(vm.State) && vm.State != string(api.StateDead) }

// followers follow the lieutenants of a fleet, each at its own pace.
type followers struct {
	w      *work
	ctx    context.Context
	places chan struct{} // so many look at once
	wg     sync.WaitGroup

	mu sync.Mutex
	at map[string]*follower
}

// follower follows the lieutenant of one VM.
type follower struct {
	vm   inventory.VM
	stop context.CancelFunc
	last remote.Activity // guarded by followers.mu
}

// follow begins with VMs that are new, and ends with those that are gone or
// called by another name.
func (fs *followers) follow(vms []inventory.VM) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	wanted := map[string]inventory.VM{}
	for _, vm := range vms {
		if vm.Key.Recorded && reachable(vm) {
			wanted[vm.ID] = vm
		}
	}
	for id, f := range fs.at {
		if vm, ok := wanted[id]; !ok || vm.Name != f.vm.Name {
			f.stop()
			delete(fs.at, id)
		}
	}
	for id, vm := range wanted {
		if fs.at[id] != nil || fs.ctx.Err() != nil {
			continue
		}
		ctx, stop := context.WithCancel(fs.ctx)
		f := &follower{vm: vm, stop: stop}
		fs.at[id] = f
		fs.wg.Go(func() { fs.run(ctx, f) })
	}
}

func (fs *followers) wait() { fs.wg.Wait() }

// How long until a lieutenant is looked at again: one at work often, so that its
// files come home at once; one that rests, which costs a round trip; and a VM
// without one seldom.
const (
	workEvery  = 5 * time.Second
	restEvery  = 25 * time.Second
	noneEvery  = 5 * time.Minute
	againFirst = 10 * time.Second // after a failure, doubling
	againMost  = 5 * time.Minute
)

func pauseAfter(a remote.Activity, failures int) time.Duration {
	switch {
	case failures > 0:
		return min(againFirst<<min(failures-1, 10), againMost)
	case a.Phase.AtWork(), a.Phase == remote.PhaseFailed && !a.Done():
		return workEvery
	case a.Phase == remote.PhaseNone:
		return noneEvery
	}
	return restEvery
}

func (fs *followers) run(ctx context.Context, f *follower) {
	how, _ := fs.w.o.Output.Batch(len(fs.w.fleet()))
	k := fs.w.o.Output.Lookout(f.vm, how)
	defer k.Close()
	failures := 0
	for ctx.Err() == nil {
		a, err := fs.look(ctx, k)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil {
			failures = 0
		}
		if a.Phase == remote.PhaseNone {
			k.Close()
		}
		fs.saw(ctx, f, a)
		pause := pauseAfter(a, failures)
		select {
		case <-fs.w.o.After(time.Duration(float64(pause) * (1 - earlier*rand.Float64()))):
		case <-ctx.Done():
		}
	}
}

// look is one look, for which there are so many places.
func (fs *followers) look(ctx context.Context, k *remote.Lookout) (remote.Activity, error) {
	select {
	case fs.places <- struct{}{}:
		defer func() { <-fs.places }()
	case <-ctx.Done():
		return remote.Activity{}, ctx.Err()
	}
	ctx, stop := context.WithTimeout(ctx, lookTimeout)
	defer stop()
	return k.Look(ctx)
}

// saw tells what has changed. At the end of an answer the mirror of the VM is
// brought up to date, and what was said is kept.
func (fs *followers) saw(ctx context.Context, f *follower, a remote.Activity) {
	fs.mu.Lock()
	before := f.last
	f.last = a
	fs.mu.Unlock()
	if a.Error != "" && a.Error != before.Error {
		fs.w.o.Log.Info("a lieutenant cannot be asked", "vm", f.vm.Title(), "why", a.Error)
	}
	events, err := fs.w.o.Events.ObservePhases(ctx, a)
	if err != nil {
		fs.w.o.Log.Warn("failed", "error", err)
	}
	fs.w.tell(events)
	for _, e := range events {
		switch e.Type {
		case LieutenantDone, LieutenantFailed, LieutenantCrashed:
			fs.w.mirror.wake(f.vm.ID)
			fs.keepAnswer(ctx, f.vm)
		}
	}
}

// keepAnswer reads the newest answer, which keeps it.
func (fs *followers) keepAnswer(ctx context.Context, vm inventory.VM) {
	ctx, stop := context.WithTimeout(ctx, lookTimeout)
	defer stop()
	if _, err := fs.w.o.Output.Answers(ctx, []inventory.VM{vm}, remote.AnswerOptions{}); err != nil {
		fs.w.o.Log.Info("what a lieutenant said was not kept", "vm", vm.Title(), "why", err)
	}
}

// phases counts the lieutenants by what they do.
func (fs *followers) phases() map[string]int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	counts := map[string]int{}
	for _, f := range fs.at {
		if f.last.Phase != "" && f.last.Phase != remote.PhaseNone {
			counts[string(f.last.Phase)]++
		}
	}
	return counts
}
