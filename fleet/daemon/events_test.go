package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// told are the types and names of all recorded events.
func told(t *testing.T, w *fleettest.World) []string {
	t.Helper()
	events, last, err := w.Open().Events.After(0)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, e := range events {
		out = append(out, strings.TrimSpace(string(e.Type)+" "+e.Name))
	}
	if n := len(events); n > 0 && events[n-1].Seq != last {
		t.Errorf("the last event is %d, and they say %d", events[n-1].Seq, last)
	}
	return out
}

// observe is one look at the fleet of a process of its own.
func observe(t *testing.T, w *fleettest.World) {
	t.Helper()
	f := w.Open()
	list, err := f.List(t.Context(), fleet.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Events.ObserveFleet(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

func wantTold(t *testing.T, w *fleettest.World, want ...string) {
	t.Helper()
	got := told(t, w)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("told: %q, want %q", got, want)
	}
}

// What happens to VMs is told once, however many processes look.
func TestEventsOfVMs(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	f := fleettest.NewFront(w)
	added := w.Sim.VM("chad-fix").ID()
	f.Set(nil, fleettest.LeaveOut(t, added))
	observe(t, w)
	wantTold(t, w) // what was there before anybody looked is no news
	f.Set(nil, nil)
	observe(t, w)
	observe(t, w)
	want := []string{"vm.new chad-fix"}
	wantTold(t, w, want...)

	if err := w.Sim.VM("chad-fix").SetState("paused"); err != nil {
		t.Fatal(err)
	}
	f.Set(nil, func(r *http.Request, a *fleettest.Reply) {
		fleettest.LeaveOut(t, sim.MarketingID)(r, a)
		a.Body = []byte(strings.ReplaceAll(string(a.Body), `"chad-dev"`, `"chad"`))
	})
	observe(t, w)
	observe(t, w)
	wantTold(t, w, append(want, "vm.paused chad-fix", "vm.gone marketing", "vm.renamed chad")...)
	events, _, _ := w.Open().Events.After(0)
	for _, e := range events {
		if e.Type == daemon.VMRenamed && (e.Former != "chad-dev" || e.Text != "chad-dev is now called chad") {
			t.Errorf("%+v", e)
		}
	}

	// An empty listing is a mistake, and no VM is gone by it.
	f.Set(nil, func(r *http.Request, a *fleettest.Reply) {
		if strings.HasSuffix(r.URL.Path, "/vms") {
			a.Body = []byte("[]")
		}
	})
	observe(t, w)
	if got := len(told(t, w)); got != 4 {
		t.Errorf("%d events", got)
	}
}

// A key that cannot be had, and one that is refused, are told.
func TestEventsOfKeys(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	f := fleettest.NewFront(w)
	f.Set(func(r *http.Request) *fleettest.Reply {
		if strings.Contains(r.URL.Path, sim.MarketingID) && strings.HasSuffix(r.URL.Path, "/ssh_key") {
			return &fleettest.Reply{Status: 403, Body: []byte("403 Forbidden")}
		}
		return nil
	}, nil)
	observe(t, w)
	observe(t, w)
	wantTold(t, w, "key.missing marketing")
	f.Set(nil, nil)
	observe(t, w)
	if err := w.Sim.VM("chad-dev").RotateKey(); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Open(fleettest.Offline).Drill(t.Context(), fleet.DrillOptions{Selection: all()})
	observe(t, w)
	observe(t, w)
	wantTold(t, w, "key.missing marketing", "key.refused chad-dev")
}

// The outages of the API are told with their beginning and end, those also that
// were over before anybody looked; that it asked for fewer calls is no outage.
func TestEventsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	c := fleettest.NewClock()
	w.Options.Now = c.Now
	observe(t, w)
	down := func() {
		w.Fault(sim.Fault{Kind: "503"})
		_, _ = w.Open().List(t.Context(), fleet.ListOptions{})
	}
	up := func() {
		w.Sim.ClearFaults()
		c.Advance(10 * time.Minute)
		_, _ = w.Open().List(t.Context(), fleet.ListOptions{})
	}
	down()
	observe(t, w)
	observe(t, w)
	wantTold(t, w, "api.down")
	up()
	observe(t, w)
	wantTold(t, w, "api.down", "api.up")
	events, _, _ := w.Open().Events.After(1)
	if e := events[0]; e.Lasted != 600 || e.Text != "the API answers again, after 10m0s" {
		t.Errorf("%+v", e)
	}
	down() // while nobody looks
	up()
	observe(t, w)
	wantTold(t, w, "api.down", "api.up", "api.down", "api.up")

	c.Advance(time.Minute)
	w.Fault(sim.Fault{Kind: "429"})
	observe(t, w)
	up()
	observe(t, w)
	wantTold(t, w, "api.down", "api.up", "api.down", "api.up", "api.limited", "api.up")
}

// Each end of a task is told once, by whichever process sees it first.
func TestEventsOfLieutenants(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 7)
	observe(t, w)
	look := func(names ...string) {
		t.Helper()
		for range 2 {
			f := w.Open()
			vms, err := f.Inventory.Resolve(t.Context(), named(names...))
			if err != nil {
				t.Fatal(err)
			}
			list, err := f.Output.Activities(t.Context(), vms)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Events.ObservePhases(t.Context(), list...); err != nil {
				t.Fatal(err)
			}
		}
	}
	deed := func(name, deed string) {
		t.Helper()
		if err := w.Sim.Deed(name, deed); err != nil {
			t.Fatal(err)
		}
	}
	deed("chad-dev", "work")
	look("chad-dev")
	wantTold(t, w)
	deed("chad-dev", "finish")
	look("chad-dev")
	want := []string{"lieutenant.done chad-dev"}
	wantTold(t, w, want...)
	deed("chad-dev", "work") // a whole task between two looks
	deed("chad-dev", "finish")
	look("chad-dev")
	want = append(want, "lieutenant.done chad-dev")
	wantTold(t, w, want...)
	deed("chad-dev", "work")
	deed("chad-dev", "ask")
	look("chad-dev")
	want = append(want, "lieutenant.waiting chad-dev")
	wantTold(t, w, want...)
	deed("chad-fix", "work")
	look("chad-fix")
	deed("chad-fix", "retry")
	look("chad-fix")
	deed("chad-fix", "give-up")
	look("chad-fix")
	want = append(want, "lieutenant.failed chad-fix")
	wantTold(t, w, want...)
	deed("infra-ui", "work")
	look("infra-ui")
	deed("infra-ui", "exit")
	look("infra-ui")
	want = append(want, "lieutenant.crashed infra-ui")
	wantTold(t, w, want...)
}

// The ring is bounded, in number and in bytes, and goes on counting.
func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	f := w.Open()
	hostile := strings.Repeat("\x1b[2J\u202e", 1000)
	for range 15 {
		var batch []daemon.Event
		for range 100 {
			batch = append(batch, daemon.Event{Type: daemon.QueueSent, Name: hostile[:100], Text: hostile})
		}
		f.Events.Note(t.Context(), batch...)
	}
	events, last, err := f.Events.After(0)
	if err != nil || len(events) == 0 || len(events) > 1000 || last != 1500 || events[len(events)-1].Seq != 1500 {
		t.Fatalf("%d events, the last is %d: %v", len(events), last, err)
	}
	info, err := os.Stat(filepath.Join(w.Home, "default", "events.json"))
	if err != nil || info.Size() > 600<<10 {
		t.Errorf("%d bytes: %v", info.Size(), err)
	}
	if strings.ContainsRune(events[0].Text, '\x1b') || len(events[0].Text) > 310 {
		t.Errorf("%q", events[0].Text)
	}
}

// A document that cannot be read is begun anew; one of a newer version stays.
func TestEventsOfDamagedDocuments(t *testing.T) {
	t.Parallel()
	for text, left := range map[string]bool{"": false, "garbage\n{}\n": false, `{"version":1,"vms":null}` + "\nno event\n{}\n": false,
		`{"version":9,"future":true}` + "\n": true, "{\"version\":-1}\n": false} {
		w := fleettest.New(t, 6)
		observe(t, w)
		path := filepath.Join(w.Home, "default", "events.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := w.Open()
		f.Events.Note(t.Context(), daemon.Event{Type: daemon.QueueSent, Text: "sent"})
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if left != (string(data) == text) {
			t.Errorf("%q became %q", text, data)
		}
		if events, _, err := f.Events.After(0); !left && (err != nil || len(events) == 0 || events[len(events)-1].Text != "sent") {
			t.Errorf("%q: %+v, %v", text, events, err)
		}
	}
}

// Of processes that are killed at random, no event is lost and none is told twice.
func TestEventsSurviveKills(t *testing.T) {
	if home := os.Getenv("VERS_FLEET_TEST_NOTE"); home != "" {
		noteForEver(t, home)
	}
	kills := 8
	if os.Getenv("VERS_FLEET_TORTURE") != "" {
		kills = 500
	}
	home := t.TempDir()
	for range kills {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEventsSurviveKills$")
		c.Env = append(os.Environ(), "VERS_FLEET_TEST_NOTE="+home)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 1+rand.IntN(60))); err != nil { // so far it has come
			t.Fatal(err)
		}
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	f, err := fleet.Open(fleet.Options{Home: home, Mode: outage.Offline})
	if err != nil {
		t.Fatal(err)
	}
	events, last, err := f.Events.After(0)
	if err != nil || last < int64(kills) {
		t.Fatal(last, err)
	}
	for i, e := range events {
		if want := last - int64(len(events)-1-i); e.Seq != want || e.Text != fmt.Sprint("event ", want) {
			t.Fatalf("event %d of %d is %+v", i, len(events), e)
		}
	}
	left, err := filepath.Glob(filepath.Join(home, "default", ".tmp~*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// noteForEver notes one event after the other, and says so.
func noteForEver(t *testing.T, home string) {
	for {
		f, err := fleet.Open(fleet.Options{Home: home, Mode: outage.Offline})
		if err != nil {
			t.Fatal(err)
		}
		_, last, err := f.Events.After(0)
		if err != nil {
			t.Fatal(err)
		}
		f.Events.Note(context.Background(), daemon.Event{Type: daemon.QueueSent, Text: fmt.Sprint("event ", last+1)})
		_, _ = os.Stdout.WriteString(".")
	}
}

// Of many processes that see the same at once, one tells it.
func TestEventsSideBySide(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	observe(t, w)
	if err := w.Sim.VM("chad-fix").SetState("paused"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			f := w.Open()
			list, err := f.List(t.Context(), fleet.ListOptions{})
			if err == nil {
				_, err = f.Events.ObserveFleet(t.Context(), list)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantTold(t, w, "vm.paused chad-fix")
}

// A command reads the event, and its status is told.
func TestCommandForEvent(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := daemon.Command{Line: "cat; exit 3", Env: []string{"PATH=" + os.Getenv("PATH")}, Stdout: &out, Stderr: &out}
	event := daemon.Event{Type: daemon.VMNew, Name: "x", Text: "x is new"}
	status, err := c.Run(t.Context(), event)
	var got daemon.Event
	if err != nil || status != 3 || json.Unmarshal([]byte(out.String()), &got) != nil || got != event {
		t.Errorf("%d, %v: %s", status, err, &out)
	}
	c.Line = "true" // reads nothing
	if status, err := c.Run(t.Context(), event); status != 0 || err != nil {
		t.Error(status, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.Run(ctx, event); err == nil {
		t.Error("it ran although nobody wants it")
	}
}
