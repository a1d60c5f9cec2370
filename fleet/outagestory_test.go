package fleet_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// After three outages, status has an honest idea of how long a fourth lasts.
func TestForecastFromPastOutages(t *testing.T) {
	w, clk := fleettest.New(t, 6), fleettest.NewClock()
	w.Options.Now = clk.Now
	list := func() {
		t.Helper()
		if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	status := func() fleet.Status {
		t.Helper()
		s, err := w.Open(fleettest.Offline).Status(t.Context(), outage.Now)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	list()
	lengths := []time.Duration{8 * time.Minute, 12 * time.Minute, 40 * time.Minute}
	for n, d := range lengths {
		clk.Advance(time.Hour)
		w.Fault(sim.Fault{Kind: "503"})
		list()
		if s := status(); s.API.State != "down" || s.API.Forecast.Known || s.API.Forecast.N != n {
			t.Errorf("in outage %d: %+v", n+1, s.API)
		}
		clk.Advance(d)
		w.Sim.ClearFaults()
		list()
		if s := status(); s.API.State != "up" || len(s.API.Outages) != n+1 {
			t.Errorf("after outage %d: %s with %d outages", n+1, s.API.State, len(s.API.Outages))
		}
	}
	clk.Advance(time.Hour)
	w.Fault(sim.Fault{Kind: "reset"})
	list()
	clk.Advance(5 * time.Minute)
	s := status()
	if s.API.State != "down" || s.API.Lasted < 300 || s.API.Lasted > 301 || s.API.Cause != "reset" {
		t.Errorf("in the fourth: %+v", s.API)
	}
	for n, o := range s.API.Outages {
		if diff := o.Seconds - lengths[n].Seconds(); diff < -1 || diff > 1 || o.Causes["http_503"] == 0 || o.Failures < 3 {
			t.Errorf("outage %d is remembered as %+v", n+1, o)
		}
	}
	f := s.API.Forecast
	if !f.Known || f.N != 3 || f.Median.Round(time.Minute) != 12*time.Minute || f.Longest.Round(time.Minute) != 40*time.Minute ||
		!f.RemainingKnown || f.Remaining.Round(time.Minute) != 7*time.Minute {
		t.Errorf("forecast: %+v", f)
	}
	if !strings.Contains(s.Advice, "pull") {
		t.Errorf("advice: %s", s.Advice)
	}
}

// A server that wants to be left alone for longer than the caller has is not
// asked again, nor waited for.
func TestRetryAfterLongerThanThereIsTime(t *testing.T) {
	for name, change := range map[string]struct {
		header string
		limit  time.Duration // of the context
		policy time.Duration
	}{
		"than the retries' time": {"120", 0, 30 * time.Second},
		"than --timeout":         {"120", 20 * time.Second, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := fleettest.New(t, 6)
			fleettest.Record(t, w)
			w.Options.Retry.MaxElapsed = change.policy
			w.Fault(sim.Fault{Kind: "503", RetryAfter: change.header})
			w.Sim.ResetCalls()
			ctx := t.Context()
			if change.limit > 0 {
				limited, stop := context.WithTimeout(ctx, change.limit)
				defer stop()
				ctx = limited
			}
			began := time.Now()
			_, err := w.Open().Access.Connect(ctx, inventory.VM{ID: w.Sim.VM(fleettest.Missing).ID(), Name: fleettest.Missing}, access.How{})
			if problem.KindOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "until") {
				t.Errorf("got %v, want unavailable until then", err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if n := len(w.Sim.Calls()); n != 1 {
				t.Errorf("%d calls, want 1", n)
			}
			// The next process knows it too.
			if _, err := w.Open().Access.Connect(t.Context(), inventory.VM{ID: w.Sim.VM(fleettest.Missing).ID()}, access.How{}); problem.KindOf(err) != problem.Unavailable {
				t.Errorf("the next one: %v", err)
			}
			if n := len(w.Sim.Calls()); n != 1 {
				t.Errorf("%d calls after the next one, want 1", n)
			}
		})
	}
}

// A probe that its user interrupts leaves the probing to the next process.
func TestInterruptedProbeIsNotHeldAgainstOthers(t *testing.T) {
	w, clk := fleettest.New(t, 6), fleettest.NewClock()
	w.Options.Now = clk.Now
	fleettest.Record(t, w)
	clk.Advance(time.Minute)
	w.Fault(sim.Fault{Kind: "503"})
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	clk.Advance(2 * time.Minute)
	w.Sim.ClearFaults()
	w.Fault(sim.Fault{Kind: "hang", Count: 1})
	ctx, interrupt := context.WithCancel(t.Context())
	asked := len(w.Sim.Calls())
	go func() {
		for len(w.Sim.Calls()) == asked {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	if _, err := w.Open().List(ctx, fleet.ListOptions{}); problem.KindOf(err) != problem.Interrupted {
		t.Fatalf("got %v, want interrupted", err)
	}
	if list, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || list.Source != outage.FromAPI {
		t.Errorf("the next process is answered from %s: %v", list.Source, err)
	}
	// Nor does one without an API key keep the others from asking.
	w.Fault(sim.Fault{Kind: "503"})
	clk.Advance(time.Minute)
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	clk.Advance(2 * time.Minute)
	w.Sim.ClearFaults()
	keyless := func(o *fleet.Options) { o.API = api.Config{BaseURL: o.API.BaseURL} }
	if list, err := w.Open(keyless).List(t.Context(), fleet.ListOptions{}); err != nil || list.Source != outage.FromCache {
		t.Errorf("without an API key it is answered from %s: %v", list.Source, err)
	}
	if list, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || list.Source != outage.FromAPI {
		t.Errorf("the one with a key is answered from %s: %v", list.Source, err)
	}
}

// A name that was never seen is the API's matter while it is down, and the
// user's when it answers.
func TestUnknownNameWhileDown(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	if _, err := w.Open().Inventory.One(t.Context(), "nobody-here"); problem.KindOf(err) != problem.NotFound {
		t.Errorf("while up: %v", err)
	}
	w.Fault(sim.Fault{Kind: "503"})
	for range 2 { // the second one is answered from what the first learned
		_, err := w.Open().Inventory.One(t.Context(), "nobody-here")
		if problem.KindOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "never seen") {
			t.Errorf("while down: %v", err)
		}
	}
	if vm, err := w.Open().Inventory.One(t.Context(), "marketing"); err != nil || vm.ID != sim.MarketingID {
		t.Errorf("a known one: %v, %v", vm.ID, err)
	}
}

// An empty list is no reason to forget anything.
func TestEmptyListErasesNothing(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	fleettest.Record(t, w)
	warned := 0
	w.Options.Warn = func(string) { warned++ }
	before := snapshot(t, w.Home)
	front.Set(func(*http.Request) *fleettest.Reply {
		return &fleettest.Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("[]")}
	}, nil)
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil || warned == 0 || len(list.VMs) != 6 {
		t.Errorf("%v, %d warnings, %d VMs", err, warned, len(list.VMs))
	}
	for _, vm := range list.VMs { // what is only recorded says so, and keeps its name
		if vm.Source != outage.FromCache || vm.Name == "" {
			t.Errorf("%s called %q is listed as %s", vm.ID, vm.Name, vm.Source)
		}
	}
	before.compare(t, "an empty list", w.Home, false)
}
