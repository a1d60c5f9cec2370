package lifecycle_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// branchCalls counts the requests to branch that the API saw.
func branchCalls(w *fleettest.World) int {
	n := 0
	for _, c := range w.Sim.Calls() {
		if c.Method == http.MethodPost && c.Endpoint == "branch" {
			n++
		}
	}
	return n
}

// A branch carries no id of ours, so one whose answer is lost is never sent
// again; what it made is named.
func TestBranchIsNeverRepeated(t *testing.T) {
	for name, tc := range map[string]struct {
		fault sim.Fault
		made  int
		sure  bool // that nothing was made, nor will be
	}{
		"reset after the API acted":    {sim.Fault{Kind: "reset-after"}, 2, false},
		"503 after the API acted":      {sim.Fault{Kind: "503-after"}, 2, false},
		"an answer cut off":            {sim.Fault{Kind: "truncated"}, 2, false},
		"reset before the API acted":   {sim.Fault{Kind: "reset"}, 0, false},
		"503 before the API acted":     {sim.Fault{Kind: "503"}, 0, true},
		"a proxy's 502 in HTML before": {sim.Fault{Kind: "502"}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := fleettest.New(t, 6)
			tc.fault.Endpoint = "branch"
			w.Fault(tc.fault)
			before := len(w.Sim.VMs())
			_, ids, err := w.Open().Lifecycle.Branch(t.Context(), "marketing", lifecycle.BranchRequest{Count: 2})
			if n := branchCalls(w); n != 1 {
				t.Errorf("the request was sent %d times", n)
			}
			if got := len(w.Sim.VMs()) - before; got != tc.made || len(ids) > 0 {
				t.Fatalf("%d VMs were made, %d returned", got, len(ids))
			}
			if problem.KindOf(err) != problem.Unavailable {
				t.Fatalf("got %v, want unavailable", err)
			}
			for _, vm := range w.Sim.VMs()[before:] {
				if !strings.Contains(err.Error(), vm.ID()) {
					t.Errorf("the new VM %s is not named: %v", vm.ID(), err)
				}
			}
			var e *problem.Error
			if fleettest.AsError(err, &e); e.Retryable != tc.sure {
				t.Errorf("retryable is %t: %v; %s", e.Retryable, e, e.Next)
			}
		})
	}
}

// When the API is gone after the request, nothing is claimed.
func TestBranchOfUnknownFate(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	vm, err := w.Open().Inventory.One(t.Context(), "marketing")
	if err != nil {
		t.Fatal(err)
	}
	gone := false
	front.Set(func(r *http.Request) *fleettest.Reply {
		gone = gone || r.Method == http.MethodPost
		if gone {
			return &fleettest.Reply{Status: http.StatusServiceUnavailable}
		}
		return nil
	}, nil)
	_, _, err = w.Open().Lifecycle.Branch(t.Context(), vm.ID, lifecycle.BranchRequest{Count: 1})
	var e *problem.Error
	if fleettest.AsError(err, &e); problem.KindOf(err) != problem.Unavailable || e.Retryable || !strings.Contains(e.What, "not known") {
		t.Errorf("got %v (retryable %t)", err, e.Retryable)
	}
}

// Somebody who interrupts a branch that was sent learns what it made.
func TestInterruptedBranchIsReported(t *testing.T) {
	w := fleettest.New(t, 6)
	vm, err := w.Open().Inventory.One(t.Context(), "marketing")
	if err != nil {
		t.Fatal(err)
	}
	w.Fault(sim.Fault{Kind: "hang-after", Endpoint: "branch"})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() {
		for len(w.Sim.VMs()) == 6 { // what was interrupted sooner has made nothing
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	_, _, err = w.Open().Lifecycle.Branch(ctx, vm.ID, lifecycle.BranchRequest{Count: 1})
	if vms := w.Sim.VMs(); problem.KindOf(err) != problem.Interrupted || len(vms) != 7 || !strings.Contains(err.Error(), vms[6].ID()) {
		t.Errorf("got %v with %d VMs", err, len(vms))
	}
}

// A pause is what the API says afterwards, not what it was asked for.
func TestPauseIsVerified(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	all := inventory.Selection{Names: []string{"marketing"}}
	state := w.Sim.VM("marketing").State
	for _, fault := range []sim.Fault{{}, {Kind: "reset-after"}, {Kind: "503-after"}, {Kind: "truncated"}, {Kind: "503"}} {
		if fault.Kind != "" {
			fault.Endpoint, fault.Count = "state", 1
			w.Fault(fault)
		}
		changes, err := w.Open().Lifecycle.Pause(t.Context(), all)
		if err != nil || changes[0].State != "paused" || state() != "paused" {
			t.Errorf("pause with %q: %+v, %v; the VM is %s", fault.Kind, changes, err, state())
		}
		if changes, err = w.Open().Lifecycle.Pause(t.Context(), all); err != nil || changes[0].State != "paused" {
			t.Errorf("pause again: %+v, %v", changes, err)
		}
		if changes, err = w.Open().Lifecycle.Resume(t.Context(), all); err != nil || changes[0].State != "running" || state() != "running" {
			t.Errorf("resume: %+v, %v; the VM is %s", changes, err, state())
		}
	}
	front.Set(func(r *http.Request) *fleettest.Reply { // says yes and does nothing
		if r.Method == http.MethodPatch {
			return &fleettest.Reply{Status: http.StatusOK}
		}
		return nil
	}, nil)
	changes, err := w.Open().Lifecycle.Pause(t.Context(), all)
	if problem.KindOf(err) != problem.Unexpected || changes[0].State != "running" || changes[0].Error == "" {
		t.Errorf("an API that only says yes: %+v, %v", changes, err)
	}
	front.Set(nil, nil)
	w.Fault(sim.Fault{Kind: "503"})
	if _, err := w.Open().Lifecycle.Pause(t.Context(), all); problem.KindOf(err) != problem.Unavailable {
		t.Errorf("while the API is down: %v", err)
	}
}

// A name or label that somebody else chose cannot take another VM's place.
func TestNamesCannotShadow(t *testing.T) {
	w := fleettest.New(t, 6)
	victim, hostile := w.Sim.VM("marketing"), w.Sim.VM("chad-dev")
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open().Inventory.SetAlias(t.Context(), "mine", inventory.VM{ID: victim.ID()}, false); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		label, name, asked string
	}{
		{"name", "marketing", "marketing"},
		{"lieutenant", "marketing", "marketing"},
		{"agent", "marketing", "marketing"},
		{"name", "marketing\u200b", "marketing"},
		{"name", " marketing ", "marketing"},
		{"name", "marketing\x00", "marketing"},
		{"name", victim.ID(), victim.ID()},
		{"name", victim.ID(), strings.ToUpper(victim.ID())},
		{"name", victim.ID()[:8], victim.ID()[:8]},
		{"agent", victim.ID()[:4], victim.ID()[:4]},
		{"name", "mine", "mine"},
	} {
		hostile.SetLabels(map[string]string{tc.label: tc.name})
		if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, resolve := range []func(*fleet.Fleet) ([]inventory.VM, error){
			func(f *fleet.Fleet) ([]inventory.VM, error) {
				return f.Inventory.Resolve(t.Context(), inventory.Selection{Names: []string{tc.asked}})
			},
			func(f *fleet.Fleet) ([]inventory.VM, error) {
				return f.Inventory.ResolveLive(t.Context(), outage.AsAsked, "commit", inventory.Selection{Names: []string{tc.asked}})
			},
		} {
			for _, f := range []*fleet.Fleet{w.Open(), w.Open(fleettest.Offline)} {
				vms, err := resolve(f)
				if slices.ContainsFunc(vms, func(v inventory.VM) bool { return v.ID != victim.ID() }) {
					t.Errorf("label %s=%q: %q is another VM", tc.label, tc.name, tc.asked)
				}
				if err != nil && (problem.KindOf(err) != problem.Ambiguous || !strings.Contains(err.Error(), victim.ID())) {
					t.Errorf("label %s=%q: %q: %v", tc.label, tc.name, tc.asked, err)
				}
			}
		}
	}
}
