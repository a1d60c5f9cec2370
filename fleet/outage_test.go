package fleet_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Scripts call the tool all the time. In an outage they must neither wait out
// a full retry each nor trample the API.
func TestManyRunsInAnOutage(t *testing.T) {
	w, clk := fleettest.New(t, 6), fleettest.NewClock()
	w.Options.Now = clk.Now
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	w.Fault(sim.Fault{Kind: "503"})
	w.Sim.ResetCalls()
	clk.Advance(time.Minute)
	const runs = 200
	for range runs {
		list, err := w.Open().List(t.Context(), fleet.ListOptions{})
		if err != nil || list.Source != outage.FromCache || len(list.VMs) != 6 {
			t.Fatalf("got %d VMs from %s: %v", len(list.VMs), list.Source, err)
		}
		clk.Advance(time.Minute / runs)
	}
	if n := len(w.Sim.Calls()); n == 0 || n > 6 {
		t.Errorf("%d runs in a minute of outage made %d API calls, want 1 to 6", runs, n)
	}
	w.Sim.ClearFaults()
	clk.Advance(2 * time.Minute) // any probe is due by now
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil || list.Source != outage.FromAPI {
		t.Errorf("first run after the outage: source %s, %v", list.Source, err)
	}
}

// ssh with a recorded key is not the API's business.
func TestRecordedKeyMakesNoCall(t *testing.T) {
	w := fleettest.New(t, 6)
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	w.Fault(sim.Fault{Kind: "hang"})
	w.Sim.ResetCalls()
	for range 20 {
		f := w.Open()
		vm, err := f.Inventory.One(t.Context(), "marketing")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := f.Access.Connect(t.Context(), vm, access.How{})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if n := len(w.Sim.Calls()); n != 0 {
		t.Errorf("%d API calls, want none", n)
	}
}

// A success, a refusal or trouble on this machine is no outage.
func TestWhatIsNoOutage(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault sim.Fault
		want  problem.Kind
	}{
		{"refused key", sim.Fault{Kind: "401"}, problem.Auth},
		{"forbidden", sim.Fault{Kind: "403"}, problem.Auth},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := fleettest.New(t, 6)
			if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
				t.Fatal(err)
			}
			w.Fault(tc.fault)
			_, err := w.Open().List(t.Context(), fleet.ListOptions{})
			if problem.KindOf(err) != tc.want {
				t.Errorf("got %v, want kind %s", err, tc.want)
			}
			s, err := w.Open(fleettest.Offline).Status(t.Context(), outage.Now)
			if err != nil || s.API.State != "up" || s.Fleet.WithKey != 6 {
				t.Errorf("afterwards: API %s, %d keys, %v", s.API.State, s.Fleet.WithKey, err)
			}
		})
	}
}

// Whoever asks for the status does not wait long for an API that hangs: its
// question has three seconds, that of a listing what a slow answer may need.
func TestStatusAsksBriefly(t *testing.T) {
	w := fleettest.New(t, 6)
	w.Options.API.Timeouts, w.Options.Probe = api.Timeouts{Headers: time.Hour, Whole: time.Hour}, 30*time.Second
	key, within := w.Options.API.APIKey, time.Duration(0)
	w.Options.API.APIKey = func(ctx context.Context) (string, error) { // is fetched within the call's time
		deadline, ok := ctx.Deadline()
		if within = time.Until(deadline); !ok {
			within = time.Hour
		}
		return key(ctx)
	}
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || within < time.Minute {
		t.Errorf("a listing may take %s, %v", within, err)
	}
	if s, err := w.Open().Status(t.Context(), retry.Scheduled); err != nil || s.Source != outage.FromAPI || within > w.Options.Probe {
		t.Errorf("the status may take %s: %s, %v", within, s.Source, err)
	}
}

// A cache never records a cache as live: what a gateway says from its record is
// taken for the outage that it is.
func TestRecordedAnswersAreNoAnswer(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	before, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	front.Set(nil, func(_ *http.Request, a *fleettest.Reply) {
		a.Header.Set(api.AsOfHeader, "2026-02-24T03:20:00Z")
		a.Body = bytes.ReplaceAll(a.Body, []byte(`"running"`), []byte(`"dead"`))
	})
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil || list.Source != outage.FromCache || list.VMs[0].State != before.VMs[0].State {
		t.Fatalf("%s, %v: %+v", list.Source, err, list.VMs[0])
	}
	s, err := w.Open().Status(t.Context(), outage.Soon)
	if err != nil || s.API.State != "down" {
		t.Errorf("status says %q, %v", s.API.State, err)
	}
}
