package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/retry"
)

// AwaitRequest says which event is waited for.
type AwaitRequest struct {
	Types   []Type
	VM      *inventory.VM // nil = any
	OnOther func(Event)   // told of the VM's other events meanwhile, or of the API's
}

// How often Await looks: at one lieutenant, at those of a fleet, at the API and
// the list of VMs.
const (
	oneEvery   = 3 * time.Second
	eachEvery  = 10 * time.Second
	fleetEvery = 15 * time.Second
)

// lookJobs bounds the lieutenants asked side by side.
const lookJobs = 16

// Await returns when an event of one of the types has come, whichever process of
// the profile has noticed it, or when what such an event tells is so already. It
// looks itself as far as the types need it; nothing else has to run. It goes on
// through outages. The error is of kind Unavailable when ctx's time is over.
func (e *Events) Await(ctx context.Context, r AwaitRequest) (Event, error) {
	_, from, err := e.After(0)
	if err != nil {
		return Event{}, err
	}
	w := &waiter{e: e, r: r, from: from, lookouts: map[string]*remote.Lookout{}}
	defer w.close()
	for first := true; ; first = false {
		answered, activities, err := w.look(ctx, first)
		if ctx.Err() != nil {
			return Event{}, w.ended(ctx)
		}
		if err != nil {
			return Event{}, err
		}
		if event, err := w.come(); event != nil || err != nil {
			return value(event), err
		}
		if event := e.current(r.Types, answered, activities); first && event != nil {
			return *event, nil
		}
		if first {
			e.o.Logf("waiting for %s", r.what())
		}
		if err := retry.Sleep(ctx, w.pause()); err != nil {
			return Event{}, w.ended(ctx)
		}
	}
}

// what is waited for, in words.
func (r AwaitRequest) what() string {
	var names []string
	for _, t := range r.Types {
		names = append(names, string(t))
	}
	what := strings.Join(names, " or ")
	if r.VM != nil {
		what += " of " + r.VM.Title()
	}
	return what
}

func value(e *Event) Event {
	if e == nil {
		return Event{}
	}
	return *e
}

// waiter is an Await at work.
type waiter struct {
	e        *Events
	r        AwaitRequest
	from     int64 // Seq of the last event that was there
	lookouts map[string]*remote.Lookout
	fleetAt  time.Time // when the fleet was listed last
}

// needs reports whether an event about one of these is waited for.
func (w *waiter) needs(subjects ...string) bool {
	return slices.ContainsFunc(w.r.Types, func(t Type) bool { return slices.ContainsFunc(subjects, t.about) })
}

func (w *waiter) pause() time.Duration {
	switch {
	case w.needs("lieutenant") && w.r.VM == nil:
		return eachEvery
	case w.needs("lieutenant"):
		return oneEvery
	case w.needs("api", "vm", "key"):
		return fleetEvery
	}
	return oneEvery
}

// look observes what the awaited types are about. answered reports whether the
// API has just answered.
func (w *waiter) look(ctx context.Context, first bool) (answered bool, activities []remote.Activity, err error) {
	now := w.e.o.Now()
	if w.needs("api", "vm", "key") && now.Sub(w.fleetAt) >= fleetEvery {
		list, err := w.e.o.List(ctx, inventory.ListOptions{Urgency: outage.Soon})
		if err != nil && !problem.WatchGoesOn(err, first) {
			return false, nil, err
		}
		if _, err := w.e.ObserveFleet(ctx, list); err != nil {
			return false, nil, err
		}
		w.fleetAt, answered = now, err == nil && list.Source == outage.FromAPI
	}
	if !w.needs("lieutenant") {
		return answered, nil, nil
	}
	vms, err := w.vms()
	if err != nil {
		return answered, nil, err
	}
	if activities, err = w.lookAt(ctx, vms, first); err != nil {
		return answered, nil, err
	}
	_, err = w.e.ObservePhases(ctx, activities...)
	return answered, activities, err
}

// vms are those whose lieutenants matter.
func (w *waiter) vms() ([]inventory.VM, error) {
	if w.r.VM != nil {
		return []inventory.VM{*w.r.VM}, nil
	}
	vms, err := w.e.o.Inventory.Known()
	if err == nil {
		err = w.e.o.Inventory.ReadRecords(vms)
	}
	return slices.DeleteFunc(vms, func(vm inventory.VM) bool {
		return !vm.GoneAt.IsZero() || !vm.Key.Recorded || quiet(vm.State)
	}), err
}

// lookAt asks lieutenants side by side. That one of several cannot be asked now
// holds up nothing; the only one must be there at first.
func (w *waiter) lookAt(ctx context.Context, vms []inventory.VM, first bool) ([]remote.Activity, error) {
	how, done := w.e.o.Output.Batch(len(vms))
	defer done()
	for _, vm := range vms {
		if w.lookouts[vm.ID] == nil {
			w.lookouts[vm.ID] = w.e.o.Output.Lookout(vm, how)
		}
	}
	list, errs := make([]remote.Activity, len(vms)), make([]error, len(vms))
	problem.Each(len(vms), lookJobs, func(n int) {
		ctx, stop := context.WithTimeout(ctx, lookTimeout)
		defer stop()
		list[n], errs[n] = w.lookouts[vms[n].ID].Look(ctx)
	})
	if w.r.VM == nil || !first {
		return list, nil
	}
	if errs[0] == nil && list[0].Phase == remote.PhaseNone {
		return nil, &problem.Error{Kind: problem.NotFound, What: "there is no lieutenant on " + vms[0].Title(), Origin: problem.OriginRemote,
			Next: "see which VMs have one: vers-fleet output --all --status"}
	}
	return list, errs[0]
}

// lookTimeout bounds one question to a lieutenant, the login included.
const lookTimeout = 30 * time.Second

// come is the first awaited event since the wait began; nil if there is none.
// OnOther is told of the others.
func (w *waiter) come() (*Event, error) {
	events, last, err := w.e.After(w.from)
	if err != nil {
		return nil, err
	}
	vmID := ""
	if w.r.VM != nil {
		vmID = w.r.VM.ID
	}
	for _, event := range events {
		if event.isOf(w.r.Types, vmID) {
			return &event, nil
		}
		if w.r.OnOther != nil && (event.VMID == "" || event.VMID == vmID) {
			w.r.OnOther(event)
		}
	}
	w.from = last
	return nil, nil
}

func (w *waiter) close() {
	for _, k := range w.lookouts {
		k.Close()
	}
}

// ended is the error of a wait that was interrupted, or whose time is over.
func (w *waiter) ended(ctx context.Context) error {
	what := "waited for " + w.r.what()
	if errors.Is(ctx.Err(), context.Canceled) {
		return problem.Of(ctx, ctx.Err(), problem.Error{What: what, Origin: problem.OriginLocal}, nil)
	}
	return problem.OutOfTime(what + ", and none came")
}
