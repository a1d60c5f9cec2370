package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// DrillResult says whether one VM could be reached right now without the API.
type DrillResult struct {
	VMID     string        `json:"vm_id"`
	Name     string        `json:"name"`
	State    string        `json:"state"`
	OK       bool          `json:"reachable"`
	Why      string        `json:"why,omitempty"`
	Next     string        `json:"fix,omitempty"` // what would mend it
	Duration float64       `json:"duration_seconds"`
	ProvedAt time.Time     `json:"verified_at,omitzero"`
	Source   outage.Source `json:"source"`
	AsOf     time.Time     `json:"as_of"`
}

// drillJobs bounds the logins made side by side.
const drillJobs = 16

// DrillOptions says which VMs Drill tries.
type DrillOptions struct {
	inventory.Selection
	IgnorePaused bool              // leave out those recorded as paused or asleep
	OnDone       func(DrillResult) // not nil: told of each
}

// Drill logs in to every known VM with what is recorded and nothing else, and
// answers: if the API died now, which VMs would be lost? The error is nil only
// if none would; its kind is Unreachable else. VMs recorded as paused, asleep
// or dead accept no SSH and are counted as lost too: their work is not at hand.
// When ctx ends before all was tried there is no verdict.
func (f *Fleet) Drill(ctx context.Context, o DrillOptions) ([]DrillResult, error) {
	vms, err := f.Inventory.ResolveLive(ctx, outage.Offline, "drill", o.Selection)
	if problem.KindOf(err) == problem.Unavailable && !f.API.Forbidden(outage.AsAsked) {
		return nil, &problem.Error{Kind: problem.Unavailable, What: "no VM could be reached without the API", Origin: problem.OriginLocal,
			Why: "nothing is recorded yet", Next: "while the API is up, this records the fleet and its keys: vers-fleet vms", Err: err}
	}
	if err != nil {
		return nil, err
	}
	if o.IgnorePaused {
		vms = slices.DeleteFunc(vms, asleep)
	}
	results := make([]DrillResult, len(vms))
	var mu sync.Mutex
	problem.Each(len(vms), drillJobs, func(n int) {
		r := f.drillOne(ctx, vms[n])
		mu.Lock()
		defer mu.Unlock()
		results[n] = r
		if o.OnDone != nil {
			o.OnDone(r)
		}
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return results, f.verdict(vms, results)
}

// verdict is the error of a drill that lost VMs.
func (f *Fleet) verdict(vms []inventory.VM, results []DrillResult) error {
	lost, paused, keyless := 0, 0, 0
	for n, r := range results {
		if r.OK {
			continue
		}
		lost++
		switch {
		case asleep(vms[n]):
			paused++
		case !f.keys.HasKey(r.VMID):
			keyless++
		}
	}
	if lost == 0 {
		return nil
	}
	e := &problem.Error{Kind: problem.Unreachable, What: problem.CountOf(lost, len(results)) + " could not be reached without the API", Origin: problem.OriginSSH,
		Why: "see the list", Next: "an outage would not take what is pulled already: vers-fleet pull --all ./rescue"}
	switch {
	case keyless > 0:
		e.Next = "vers-fleet keys sync while the API is up fetches missing keys"
	case paused == lost:
		e.Next = "paused VMs accept no SSH: resume them while the API is up, or leave them out with --ignore-paused"
	}
	return e
}

// asleep says that a VM is recorded in a state that accepts no SSH and ends
// with a resume.
func asleep(vm inventory.VM) bool {
	return vm.State == string(api.StatePaused) || vm.State == string(api.StateSleeping)
}

func (f *Fleet) drillOne(ctx context.Context, vm inventory.VM) DrillResult {
	began := f.o.Now()
	r := DrillResult{VMID: vm.ID, Name: vm.Name, State: vm.State, Source: vm.Source, AsOf: vm.AsOf}
	if !f.keys.HasKey(vm.ID) {
		r.Why, r.Next = "no key is recorded", "vers-fleet keys sync"
		return r
	}
	conn, err := f.Access.Connect(ctx, vm, access.How{Mode: outage.Offline})
	r.Duration = f.o.Now().Sub(began).Seconds()
	if err != nil {
		r.Why = problem.Why(err)
		var e *problem.Error
		switch {
		case vm.State == string(api.StateDead):
			r.Next = access.ForGood(vm)
		case asleep(vm):
			r.Next = "vers-fleet resume " + vm.Arg()
		case errors.As(err, &e) && (e.Kind == problem.Identity || e.Kind == problem.LoginRefused):
			r.Next = e.Next
		}
		return r
	}
	_ = conn.Close()
	r.OK, r.ProvedAt = true, f.o.Now().UTC()
	return r
}

// reach is drillOne for the daemon: the error says why the VM would be lost.
func (f *Fleet) reach(ctx context.Context, vm inventory.VM) error {
	if r := f.drillOne(ctx, vm); !r.OK {
		return &problem.Error{Kind: problem.Unreachable, What: vm.Title() + " could not be reached without the API", Why: r.Why, Next: r.Next, Origin: problem.OriginSSH}
	}
	return nil
}

// Probe tries every VM of the listing over SSH with what is recorded, side by
// side, and notes what it found in place. When ctx ends before all was tried,
// what is noted means nothing, and its error is returned.
func (f *Fleet) Probe(ctx context.Context, vms []inventory.VM, onDone func(keys.Progress)) error {
	var mu sync.Mutex
	done := 0
	problem.Each(len(vms), drillJobs, func(n int) {
		r := f.drillOne(ctx, vms[n])
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
	return ctx.Err()
}
