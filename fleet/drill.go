package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// DrillResult says whether one VM could be reached right now without the API.
type DrillResult struct {
	VMID     string        `json:"vm_id"`
	Name     string        `json:"name"`
	State    string        `json:"state"`
	OK       bool          `json:"reachable"`
	Why      string        `json:"why,omitempty"`
	Duration float64       `json:"duration_seconds"`
	ProvedAt time.Time     `json:"proved_at,omitzero"`
	Source   outage.Source `json:"source"`
	AsOf     time.Time     `json:"as_of"`
}

// drillJobs bounds the logins made side by side.
const drillJobs = 16

// drillTimeout bounds one login.
const drillTimeout = 20 * time.Second

// Drill logs in to every known VM with what is recorded and nothing else, and
// answers: if the API died now, which VMs would be lost? The error is nil only
// if none would; its kind is Unreachable else. VMs recorded as paused, asleep
// or dead accept no SSH and are counted as lost too: their work is not at hand.
func (f *Fleet) Drill(ctx context.Context, s inventory.Selection, onDone func(DrillResult)) ([]DrillResult, error) {
	off := f.with(outage.Offline)
	vms, err := f.Inventory.ResolveLive(ctx, outage.Offline, s)
	if problem.KindOf(err) == problem.Unavailable && f.API.Mode(f.mode) != outage.Offline {
		return nil, &problem.Error{Kind: problem.Unavailable, What: "no VM could be reached without the API", Origin: problem.OriginLocal,
			Why: "nothing is recorded yet", Next: "while the API is up, this records the fleet and its keys: vers-fleet vms", Err: err}
	}
	if err != nil {
		return nil, err
	}
	results := make([]DrillResult, len(vms))
	var mu sync.Mutex
	problem.Each(len(vms), drillJobs, func(n int) {
		r := off.drillOne(ctx, vms[n])
		mu.Lock()
		defer mu.Unlock()
		results[n] = r
		if onDone != nil {
			onDone(r)
		}
	})
	lost := 0
	for _, r := range results {
		if !r.OK {
			lost++
		}
	}
	if lost > 0 {
		return results, &problem.Error{Kind: problem.Unreachable, What: problem.CountOf(lost, len(results)) + " could not be reached without the API", Origin: problem.OriginSSH,
			Why: "see the list", Next: "vers-fleet keys sync while the API is up fetches missing keys"}
	}
	return results, nil
}

func (f *Fleet) drillOne(ctx context.Context, vm inventory.VM) DrillResult {
	ctx, stop := context.WithTimeout(ctx, drillTimeout)
	defer stop()
	began := f.o.Now()
	r := DrillResult{VMID: vm.ID, Name: vm.Name, State: vm.State, Source: vm.Source, AsOf: vm.AsOf}
	if !f.keys.HasKey(vm.ID) {
		r.Why = "no key is recorded"
		return r
	}
	conn, err := f.Connect(ctx, vm)
	r.Duration = f.o.Now().Sub(began).Seconds()
	if err != nil {
		r.Why = problem.Why(err)
		return r
	}
	_ = conn.Close()
	r.OK, r.ProvedAt = true, f.o.Now().UTC()
	return r
}

// Probe tries every VM of the listing over SSH with what is recorded, side by
// side, and notes what it found in place.
func (f *Fleet) Probe(ctx context.Context, vms []inventory.VM, onDone func(keys.Progress)) {
	off := f.with(outage.Offline)
	var mu sync.Mutex
	done := 0
	problem.Each(len(vms), drillJobs, func(n int) {
		r := off.drillOne(ctx, vms[n])
		mu.Lock()
		defer mu.Unlock()
		done++
		vms[n].Reachable, vms[n].ProbeError = &r.OK, r.Why
		if r.OK {
			vms[n].ReachedAt, vms[n].Key.ProvedAt = r.ProvedAt, r.ProvedAt
		}
		if onDone != nil {
			onDone(keys.Progress{Done: done, Total: len(vms), Current: vms[n].Title()})
		}
	})
}

// pinMissing asks the VMs that have a key but no pinned host key for it; the
// handshake needs no login. VMs that do not answer are left for next time, and
// all of them to another process that is asking already: silent ones take
// long, and a sync from cron must not pile up behind them.
func (f *Fleet) pinMissing(ctx context.Context, vms []inventory.VM) (int, error) {
	if len(f.unpinned(vms)) == 0 {
		return 0, nil
	}
	release, err := f.keys.Lock(ctx, "pin", false)
	if keystore.KindOf(err) == keystore.KindLocked {
		f.o.Logf("another process is asking the VMs for their host keys")
		return 0, nil
	}
	if err != nil {
		return 0, problem.OfStorage("record host keys", err)
	}
	defer release()
	todo := f.unpinned(vms)
	var mu sync.Mutex
	pinned := 0
	var failed error
	problem.Each(len(todo), keys.SyncJobs, func(n int) {
		err := f.pinHostKey(ctx, todo[n])
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			pinned++
		} else if problem.KindOf(err) == problem.Storage {
			failed = err
		}
	})
	return pinned, failed
}

// unpinned are the running VMs that have a key but no pinned host key.
func (f *Fleet) unpinned(vms []inventory.VM) (ids []string) {
	for _, vm := range vms {
		if r, err := f.keys.Record(vm.ID); err == nil && len(r.HostKeys) == 0 && vm.State == string(api.StateRunning) {
			ids = append(ids, vm.ID)
		}
	}
	return ids
}

// pinFresh is pinMissing after new keys came with a listing, which it must not
// hold up for long; keys sync pins the rest.
func (f *Fleet) pinFresh(ctx context.Context, vms []inventory.VM) error {
	ctx, stop := context.WithTimeout(ctx, outage.ProbeTimeout)
	defer stop()
	_, err := f.pinMissing(ctx, vms)
	return err
}

func (f *Fleet) pinHostKey(ctx context.Context, id string) error {
	target, _, err := f.target(inventory.VM{ID: id})
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, drillTimeout)
	defer stop()
	key, err := f.dialer.HostKey(ctx, target)
	if err != nil {
		f.o.Logf("the host key of %s was not learned: %v", id, err)
		return err
	}
	return problem.OfStorage("record the host key of "+id, f.keys.PinHostKey(id, key, f.API.Vouches(f.mode), []string{f.front.HostName(id)}))
}

// AcceptHostKey replaces the pinned host keys of a VM by the one it shows now,
// provided its fingerprint is the one given.
func (f *Fleet) AcceptHostKey(ctx context.Context, vm inventory.VM, fingerprint string) error {
	target, _, err := f.target(vm)
	if err != nil {
		return err
	}
	target.HostKeys = nil
	key, err := f.dialer.HostKey(ctx, target)
	if err != nil {
		return f.explain(ctx, vm, err)
	}
	if got := sshconn.Fingerprint(key); got != fingerprint {
		return &problem.Error{Kind: problem.Identity, What: "the host key of " + vm.Title() + " was not accepted", Origin: problem.OriginSSH,
			Why: "it is " + got + ", not " + fingerprint, Next: "compare again with a trusted source"}
	}
	// One step: without any pin, whoever connects meanwhile would pin what it meets.
	err = f.keys.UpdateRecord(vm.ID, func(r *keystore.Record) error {
		r.HostKeys = []keystore.HostKey{{Key: key, FirstSeen: f.o.Now().UTC(), Confirmed: true}}
		return nil
	})
	if err == nil {
		err = f.keys.PinHostKey(vm.ID, key, true, []string{f.front.HostName(vm.ID)})
	}
	return problem.OfStorage("record the host key", err)
}
