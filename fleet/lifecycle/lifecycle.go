package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Options is what a Lifecycle is made of.
type Options struct {
	API       *outage.API
	Inventory *inventory.Inventory
	Store     *keystore.Store
	Warn      func(string)
	Record    func(context.Context) error // lists the VMs live and fetches missing keys, without waiting for the API
}

// Lifecycle changes a profile's VMs. Its methods may be called concurrently.
type Lifecycle struct{ o Options }

// New makes a Lifecycle. It asks nothing.
func New(o Options) *Lifecycle { return &Lifecycle{o} }

// StateChange is what became of one pause or resume.
type StateChange struct {
	VMID   string `json:"vm_id"`
	VMName string `json:"name,omitempty"`
	State  string `json:"state"` // as read back from the API
	Error  string `json:"error,omitempty"`
}

// pause stops a VM, keeping its memory. Asking twice is harmless. The result
// is read back from the API, so that it is what the platform says and not what
// was hoped.
func (l *Lifecycle) pause(ctx context.Context, vm inventory.VM) (StateChange, error) {
	return l.setState(ctx, vm, "pause", api.StatePaused)
}

// resume lets a paused VM run on. Like pause it is verified.
func (l *Lifecycle) resume(ctx context.Context, vm inventory.VM) (StateChange, error) {
	return l.setState(ctx, vm, "resume", api.StateRunning)
}

func (l *Lifecycle) setState(ctx context.Context, vm inventory.VM, verb string, want api.State) (StateChange, error) {
	change := StateChange{VMID: vm.ID, VMName: vm.Name, State: "unknown"}
	answer, err := outage.Ask(ctx, l.o.API, outage.Call[api.VM]{
		What: verb + " " + vm.Title(), Repeatable: true, Acts: true,
		Live: func(ctx context.Context, c *api.Client) (api.VM, error) {
			if err := c.SetState(ctx, vm.ID, want); err != nil {
				return api.VM{}, err
			}
			return c.Status(ctx, vm.ID)
		},
	})
	if err != nil {
		change.Error = problem.Why(err)
		return change, err
	}
	change.State = string(answer.Value.State)
	if answer.Value.State != want && !settling(answer.Value.State, want) {
		change.Error = "the API took the request, but says that the VM is " + change.State
		return change, &problem.Error{Kind: problem.Unexpected, What: "cannot " + verb + " " + vm.Title(), Why: change.Error, Origin: problem.OriginAPI,
			Next: "look again in a moment: vers-fleet vms --state " + change.State, Retryable: true}
	}
	return change, nil
}

// settling says that a state is on its way to the wanted one.
func settling(got, want api.State) bool {
	return want == api.StateRunning && got == api.StateBooting || want == api.StatePaused && got == api.StateSleeping
}

// branch makes count new VMs that start as copies of vm. The request carries
// no id of ours, so it is never repeated once it may have reached the API; in
// that case the fleet before and after is compared and the difference named.
func (l *Lifecycle) branch(ctx context.Context, vm inventory.VM, count int) ([]string, error) {
	before, err := l.liveIDs(ctx, "branch "+vm.Title())
	if err != nil {
		return nil, err
	}
	answer, err := outage.Ask(ctx, l.o.API, outage.Call[[]string]{
		What: "branch " + vm.Title(), Acts: true, // and not repeatable
		Live: func(ctx context.Context, c *api.Client) ([]string, error) { return c.Branch(ctx, vm.ID, count) },
	})
	if err == nil {
		return answer.Value, nil
	}
	var ae *api.Error
	if !errors.As(err, &ae) || !ae.Sent || !ae.Kind.Unreachable() && ae.Kind != api.KindCanceled {
		return nil, err
	}
	return nil, l.lookForBranch(ctx, vm, before, err)
}

// lookForBranch says what a branch without an answer may have made.
func (l *Lifecycle) lookForBranch(ctx context.Context, vm inventory.VM, before map[string]bool, cause error) error {
	ctx, stop := outage.Afterwards(ctx)
	defer stop()
	e := &problem.Error{Kind: problem.KindOf(cause), What: "whether " + vm.Title() + " was branched is not known", Why: problem.Why(cause), Origin: problem.OriginAPI, Err: cause,
		Next: "look before branching again: vers-fleet vms --live"}
	after, err := l.liveIDs(ctx, "list the VMs")
	if err != nil {
		return e
	}
	var fresh []string
	for id := range after {
		if !before[id] {
			fresh = append(fresh, id)
		}
	}
	if len(fresh) == 0 && outage.MayStillAct(cause) {
		e.Why += "; the fleet has no new VM yet"
		return e
	}
	if len(fresh) == 0 {
		e.What = "cannot branch " + vm.Title()
		e.Next = "the fleet has no new VM, so it seems safe to run it again"
		e.Retryable = true
		return e
	}
	e.What = fmt.Sprintf("%s was perhaps branched", vm.Title())
	e.Why += "; new since then: " + strings.Join(fresh, ", ")
	return e
}

// liveIDs asks the API which VMs there are. what completes "cannot ...".
func (l *Lifecycle) liveIDs(ctx context.Context, what string) (map[string]bool, error) {
	answer, err := outage.Ask(ctx, l.o.API, outage.Call[[]api.VM]{
		What: what, Repeatable: true, Insist: true,
		Live: func(ctx context.Context, c *api.Client) ([]api.VM, error) { return c.VMs(ctx) },
	})
	ids := map[string]bool{}
	for _, v := range answer.Value {
		ids[v.ID] = true
	}
	return ids, err
}

// Pause pauses every VM of a selection, which is resolved by the API.
func (l *Lifecycle) Pause(ctx context.Context, s inventory.Selection) ([]StateChange, error) {
	return l.setAll(ctx, s, "pause", "paused", l.pause)
}

// Resume is Pause for resuming.
func (l *Lifecycle) Resume(ctx context.Context, s inventory.Selection) ([]StateChange, error) {
	return l.setAll(ctx, s, "resume", "resumed", l.resume)
}

// jobs is how many VMs are paused or resumed side by side.
const jobs = 4

func (l *Lifecycle) setAll(ctx context.Context, s inventory.Selection, verb, done string, set func(context.Context, inventory.VM) (StateChange, error)) ([]StateChange, error) {
	vms, err := l.o.Inventory.ResolveLive(ctx, l.o.API.MustBeLive(), verb, s)
	if err != nil {
		return nil, err
	}
	changes, errs := make([]StateChange, len(vms)), make([]error, len(vms))
	problem.Each(len(vms), jobs, func(n int) { changes[n], errs[n] = set(ctx, vms[n]) })
	told := map[string]string{}
	for _, c := range changes {
		if c.State != "unknown" {
			told[c.VMID] = c.State
		}
	}
	if err := l.o.Inventory.RecordStates(told); err != nil {
		l.o.Warn("the new states could not be recorded: " + err.Error())
	}
	return changes, problem.Sum{Failed: "could not be " + done, Next: problem.SeeList, Alike: true}.Of(ctx, inventory.Outcomes(vms, errs))
}

// BranchRequest says how many copies are wanted and what to call them: Name, or
// with several Name-1 and so on; "" leaves that to the platform.
type BranchRequest struct {
	Count int
	Name  string
}

// Branch is branch for the VM of a name, which is resolved by the API. The
// new VMs get their names, and are recorded with their keys, so that an outage
// finds them covered.
func (l *Lifecycle) Branch(ctx context.Context, name string, r BranchRequest) (inventory.VM, []Made, error) {
	vms, err := l.o.Inventory.ResolveLive(ctx, l.o.API.MustBeLive(), "branch", inventory.Selection{Names: []string{name}})
	if err != nil {
		return inventory.VM{}, nil, err
	}
	called, err := l.names(r.Name, r.Count)
	if err != nil {
		return vms[0], nil, err
	}
	ids, err := l.branch(ctx, vms[0], r.Count)
	if err != nil {
		return vms[0], nil, err
	}
	made := make([]Made, len(ids))
	for i, id := range ids {
		made[i].VMID = id
		if i < len(called) {
			made[i].Name = called[i]
		}
	}
	l.settleIn(ctx, made)
	return vms[0], made, nil
}

// settleIn names and records new VMs. It never waits for the API: what was made
// must be told.
func (l *Lifecycle) settleIn(ctx context.Context, made []Made) {
	for i, vm := range made {
		if err := l.name(ctx, vm); err != nil {
			l.o.Warn(fmt.Sprintf("%s could not be called %s: %s", vm.VMID, vm.Name, problem.Why(err)))
			made[i].Name = ""
		}
	}
	l.cover(ctx, made)
}

// cover records new VMs and their keys.
func (l *Lifecycle) cover(ctx context.Context, made []Made) {
	err := l.o.Record(ctx)
	keyless := slices.ContainsFunc(made, func(vm Made) bool { return !l.o.Store.HasKey(vm.VMID) })
	switch {
	case err != nil:
		l.o.Warn("the new VMs are not recorded yet (vers-fleet keys sync): " + problem.Why(err))
	case keyless:
		l.o.Warn("the keys of the new VMs are not all recorded yet: vers-fleet keys sync")
	}
}
