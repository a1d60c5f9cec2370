package fleet_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A profile holds the VMs of one endpoint and one account. What another one
// says is shown, but recorded nowhere, and that is said.
func TestProfilesDoNotMix(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	fleettest.Record(t, w)
	other := fleettest.NewOf(t, sim.Config{VMs: 7, Seed: 2, Still: true})
	const stranger = "99999999-8888-4777-8666-555555555555"
	for name, change := range map[string]func(*fleet.Options){
		"another endpoint": func(o *fleet.Options) { o.API = other.Options.API },
		"another account": func(o *fleet.Options) { // the front lets it in
			o.API.APIKey = func(context.Context) (string, error) { return stranger + w.Sim.APIKey()[36:], nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			front.Set(nil, nil)
			before := snapshot(t, w.Home)
			list, err := w.Open(change).List(t.Context(), fleet.ListOptions{})
			if err != nil || list.Source != outage.FromAPI {
				t.Fatalf("listed from %s: %v", list.Source, err)
			}
			if problem.KindOf(list.Unsaved) != problem.Usage || !strings.Contains(list.Unsaved.Error(), "nothing was recorded") {
				t.Errorf("it does not say that nothing was recorded: %v", list.Unsaved)
			}
			if r, err := w.Open(change).Sync(t.Context(), fleet.SyncOptions{Refresh: true}); err == nil || r.Fetched > 0 {
				t.Errorf("keys sync: %+v, %v", r, err)
			}
			id := w.Sim.VM(fleettest.Missing).ID()
			if name == "another endpoint" {
				id = other.Sim.VMs()[6].ID()
			}
			if conn, err := w.Open(change).Access.Connect(t.Context(), inventory.VM{ID: id}, access.How{}); problem.KindOf(err) != problem.Usage {
				t.Errorf("a key of another account: %v, %v", conn, err)
			}
			before.compare(t, name, w.Home, false)
		})
	}
	w.Forget()
	if list, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || list.Unsaved != nil || list.KeysLeft() != 0 {
		t.Errorf("its own API afterwards: %v, %v, %d keys left", err, list.Unsaved, list.KeysLeft())
	}
}

// Two processes that record the fleet at the same time do not get in each
// other's way.
func TestTwoSyncsAtOnce(t *testing.T) {
	w := fleettest.New(t, 12)
	var all sync.WaitGroup
	for range 2 {
		f := w.Open()
		all.Go(func() {
			r, err := f.Sync(t.Context(), fleet.SyncOptions{})
			if err != nil || r.VMs != 12 || len(r.Failed) > 0 {
				t.Errorf("keys sync: %+v, %v", r, err)
			}
		})
	}
	all.Wait()
	keys, err := w.Open().Keys.List()
	if err != nil || len(keys) != 12 {
		t.Errorf("%d keys are recorded: %v", len(keys), err)
	}
	if findings, err := w.Open().Keys.Check(); err != nil {
		t.Errorf("keys check: %v: %+v", err, findings)
	}
	if results, err := w.Open().Drill(t.Context(), fleet.DrillOptions{Selection: inventory.Selection{All: true}}); err != nil {
		t.Errorf("drill: %v: %+v", err, results)
	}
}

// Of several first listings at once, each knows of the keys that the others
// fetched while it asked.
func TestListsAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		w := fleettest.New(t, 6)
		var all sync.WaitGroup
		for range 6 {
			f := w.Open()
			all.Go(func() {
				list, err := f.List(t.Context(), fleet.ListOptions{})
				if err != nil || list.KeysLeft() > 0 {
					t.Errorf("%d VMs without a key: %v", list.KeysLeft(), err)
				}
			})
		}
		all.Wait()
	}
}

// VMs that do not answer the handshake are asked by one process at a time.
func TestSilentVMsAreAskedByOneProcess(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	gateway, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	dialled := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := gateway.Accept()
			if err != nil {
				return
			}
			dialled <- c // and nothing is ever said
		}
	}()
	w.Options.VMGateway = gateway.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() { _, _ = w.Open().Sync(ctx, fleet.SyncOptions{}) })
	defer first.Wait()
	defer stop()
	for range 6 {
		c := <-dialled
		defer c.Close()
	}
	if r, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); err != nil || r.HostKeys != 0 || r.VMs != 6 {
		t.Errorf("second sync: %+v, %v", r, err)
	}
	if n := len(dialled); n > 0 {
		t.Errorf("%d VMs were asked again", n)
	}
}

// One endpoint can be written in several ways; going to another one on purpose
// takes a profile of its own.
func TestOneEndpointManyWritings(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	for _, write := range []func(string) string{
		func(u string) string { return u + "/" },
		func(u string) string { return strings.Replace(u, "http://", "HTTP://", 1) },
	} {
		list, err := w.Open(func(o *fleet.Options) { o.API.BaseURL = write(o.API.BaseURL) }).List(t.Context(), fleet.ListOptions{})
		if err != nil || list.Unsaved != nil {
			t.Errorf("%s: %v, %v", write(w.Options.API.BaseURL), err, list.Unsaved)
		}
	}
	other := fleettest.NewOf(t, sim.Config{VMs: 7, Seed: 2, Still: true})
	list, err := w.Open(func(o *fleet.Options) { o.API, o.Profile = other.Options.API, "other" }).List(t.Context(), fleet.ListOptions{})
	if err != nil || list.Unsaved != nil || len(list.VMs) != 7 {
		t.Errorf("--profile other: %v, %v", err, list.Unsaved)
	}
}

// The cache serves for another endpoint that does not answer, which may be
// the same one written wrong; but whose record it is, is said.
func TestRecordOfAnotherEndpoint(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	for base, want := range map[string]int{"http://" + closedPort(t, "127.0.0.1"): 1, w.Options.API.BaseURL + "/": 0} {
		var said []string
		f := w.Open(func(o *fleet.Options) {
			o.API.BaseURL = base
			o.Warn = func(s string) { said = append(said, s) }
		})
		w.Fault(sim.Fault{Kind: "503"})
		for range 2 {
			if list, err := f.List(t.Context(), fleet.ListOptions{}); err != nil || list.Source != outage.FromCache || len(list.VMs) != 6 {
				t.Errorf("%s: from %s, %v", base, list.Source, err)
			}
		}
		if len(said) != want || want > 0 && !strings.Contains(said[0], "the cache of "+w.Options.API.BaseURL+",") {
			t.Errorf("%s: warnings %q, want %d", base, said, want)
		}
	}
}
