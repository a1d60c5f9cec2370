package fleet_test

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// drill during an outage asks nothing, so it must not keep others from asking.
func TestOfflineWorkTakesNoProbe(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	c := fleettest.ClockAt(time.Now())
	w.Options.Now = c.Now
	w.Fault(sim.Fault{Kind: "503"})
	if list, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || list.Source != outage.FromCache {
		t.Fatal(list.Source, err)
	}
	w.Fault(sim.Fault{Kind: "gateway-down"})
	c.Advance(5 * time.Minute) // a probe is due
	if _, err := w.Open().Drill(t.Context(), fleet.DrillOptions{Selection: inventory.Selection{All: true}}); problem.KindOf(err) != problem.Unreachable {
		t.Fatal(err)
	}
	w.Sim.ClearFaults()
	if list, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || list.Source != outage.FromAPI {
		t.Errorf("the recovery is not noticed: from %s, %v", list.Source, err)
	}
}

// A wait that ends says how long it was.
func TestWaitSaysHowLong(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	w.Fault(sim.Fault{Kind: "503"})
	var all sync.WaitGroup
	for name, wait := range map[string]func(f *fleet.Fleet) error{
		"wait --timeout": func(f *fleet.Fleet) error { return f.API.Await(t.Context(), 1200*time.Millisecond) },
		"--wait=D": func(f *fleet.Fleet) error {
			_, err := f.List(t.Context(), fleet.ListOptions{})
			return err
		},
		"--timeout": func(f *fleet.Fleet) error {
			ctx, stop := context.WithTimeout(t.Context(), 1200*time.Millisecond)
			defer stop()
			return f.API.Await(ctx, 0)
		},
	} {
		all.Go(func() {
			f := w.Open(func(o *fleet.Options) {
				o.Mode, o.WaitFor, o.Profile = outage.Wait, 1200*time.Millisecond, strings.Trim(name, "-=D")
			})
			err := wait(f)
			if problem.KindOf(err) != problem.Unavailable || !regexp.MustCompile(`within [1-9]\d*s`).MatchString(err.Error()) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
}

// A refused API key will not get better by waiting.
func TestRefusedKeyEndsTheWait(t *testing.T) {
	w := fleettest.New(t, 6)
	w.Fault(sim.Fault{Kind: "401"})
	began := time.Now()
	if err := w.Open().API.Await(t.Context(), time.Minute); problem.KindOf(err) != problem.Auth {
		t.Error(err)
	}
	_, err := w.Open(func(o *fleet.Options) { o.Mode, o.WaitFor = outage.Wait, time.Minute }).List(t.Context(), fleet.ListOptions{})
	if problem.KindOf(err) != problem.Auth {
		t.Error(err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}

// Many that wait on one machine are one client to the API, and all notice when
// it returns.
func TestManyWaitersProbeAsOne(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	w.Fault(sim.Fault{Kind: "503"})
	c := fleettest.ClockAt(time.Now())
	w.Options.Now = c.Now
	var all, waiting sync.WaitGroup
	const waiters = 40
	waiting.Add(waiters)
	for range waiters {
		var once sync.Once
		all.Go(func() {
			f := w.Open(func(o *fleet.Options) {
				o.OnWait = func(outage.Waiting) func() { once.Do(waiting.Done); return func() {} }
			})
			if err := f.API.Await(t.Context(), 0); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	if n := len(w.Sim.Calls()); n > waiters { // at first none knew
		t.Errorf("%d calls while it was down", n)
	}
	w.Sim.ResetCalls()
	w.Sim.ClearFaults()
	c.Advance(10 * time.Second) // somebody's next try is due
	all.Wait()
	if n := len(w.Sim.Calls()); n != 1 {
		t.Errorf("%d calls after the return, want 1 that tells all", n)
	}
}

// A caller in a hurry proves nothing about the API.
func TestShortTimeoutIsNoOutage(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	w.Fault(sim.Fault{Kind: "latency", Latency: 400 * time.Millisecond})
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if list, err := w.Open().List(ctx, fleet.ListOptions{}); err != nil || list.Source != outage.FromCache {
		t.Fatal(list.Source, err)
	}
	if list, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || list.Source != outage.FromAPI {
		t.Errorf("everybody is held off: from %s, %v", list.Source, err)
	}
}

// status is honest about an API that was never asked or refuses the key, and
// still counts what is recorded.
func TestStatusOfRefusedKey(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	noKey := func(o *fleet.Options) {
		o.API.APIKey = func(context.Context) (string, error) { return "", nil }
	}
	s, err := w.Open(noKey).Status(t.Context(), outage.Now)
	if err != nil || s.API.State == "refused" || s.Fleet.VMs != 6 || s.Source != outage.FromCache {
		t.Errorf("no API key: %v, %q %q, %d VMs, %s", err, s.API.State, s.API.LastError, s.Fleet.VMs, s.Source)
	}
	if s.API.LastError == "" || !strings.Contains(s.Advice, "API_KEY") {
		t.Errorf("no API key: %q, advice %q", s.API.LastError, s.Advice)
	}
	w.Fault(sim.Fault{Kind: "403"})
	s, err = w.Open().Status(t.Context(), outage.Now)
	if err != nil || s.API.State != "refused" || s.Fleet.VMs != 6 || s.Fleet.WithKey != 5 || s.Source != outage.FromAPI {
		t.Errorf("refused: %v, %q, %+v, %s", err, s.API.State, s.Fleet, s.Source)
	}
	w = fleettest.New(t, 6)
	if s, err := w.Open(fleettest.Offline).Status(t.Context(), outage.Now); err != nil || s.API.State != "unknown" || s.Source != outage.FromCache {
		t.Errorf("never asked: %v, %q, %s", err, s.API.State, s.Source)
	}
}

// status is what looks whether the API is back, without waiting for the probe.
func TestStatusProbesSoon(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	c := fleettest.ClockAt(time.Now())
	w.Options.Now = c.Now
	w.Fault(sim.Fault{Kind: "503"})
	if s, err := w.Open().Status(t.Context(), outage.Now); err != nil || s.API.State != "down" {
		t.Fatal(s.API.State, err)
	}
	w.Sim.ClearFaults()
	c.Advance(3 * time.Second)
	if s, err := w.Open().Status(t.Context(), outage.Now); err != nil || s.API.State != "up" {
		t.Errorf("3 s later: %s, %v", s.API.State, err)
	}
}

// What nothing recorded can answer is asked at once, not when a probe is due:
// after the recovery a name that is new here is found within seconds.
func TestUnknownNameFindsTheRecovery(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	c := fleettest.ClockAt(time.Now())
	w.Options.Now = c.Now
	w.Fault(sim.Fault{Kind: "503"})
	if _, err := w.Open().Inventory.One(t.Context(), "marketing"); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("in the outage: %v", err)
	}
	w.Sim.ClearFaults()
	c.Advance(3 * time.Second)
	if vm, err := w.Open().Inventory.One(t.Context(), "marketing"); err != nil || vm.ID != sim.MarketingID {
		t.Errorf("three seconds later: %v, %v", vm.ID, err)
	}
}
