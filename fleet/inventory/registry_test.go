package inventory_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// withRegistry serves handler as the registry.
func withRegistry(t *testing.T, w *fleettest.World, handler http.HandlerFunc) {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	w.Options.Registry = inventory.Registry{URL: s.URL, Token: func(context.Context) (string, error) { return "t", nil }}
}

// The registry is asked beside the API: here the API waits for it.
func TestRegistryIsAskedBesideTheAPI(t *testing.T) {
	w := fleettest.New(t, 6)
	asked := make(chan struct{})
	base, err := url.Parse(w.Options.API.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	api := httputil.NewSingleHostReverseProxy(base)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-asked:
			api.ServeHTTP(rw, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(front.Close)
	w.Options.API.BaseURL = front.URL
	var once sync.Once
	withRegistry(t, w, func(rw http.ResponseWriter, _ *http.Request) {
		once.Do(func() { close(asked) })
		_, _ = fmt.Fprintf(rw, `[{"id":%q,"name":"from-registry"}]`, sim.MarketingID)
	})
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil || list.Source != outage.FromAPI {
		t.Fatal(list.Source, err)
	}
	if !slices.ContainsFunc(list.VMs, func(vm inventory.VM) bool {
		return slices.Contains(vm.Names, inventory.Name{Name: "from-registry", Source: inventory.SourceRegistry})
	}) {
		t.Error("the registry's name is missing")
	}
}

// A registry that gives no answer is left alone by the next processes, the
// names it gave before stay, and it does not hold up the cache's answer.
func TestSilentRegistryIsLeftAlone(t *testing.T) {
	w := fleettest.New(t, 6)
	var calls atomic.Int32
	down := http.StatusOK
	withRegistry(t, w, func(rw http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		rw.WriteHeader(down)
		_, _ = fmt.Fprintf(rw, `[{"id":%q,"name":"from-registry"}]`, sim.MarketingID)
	})
	var warned []string
	list := func() outage.Source {
		l, err := w.Open(func(o *fleet.Options) { o.Warn = func(s string) { warned = append(warned, s) } }).
			List(t.Context(), fleet.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Select(inventory.Selection{Names: []string{"from-registry"}}); err != nil {
			t.Error(err)
		}
		return l.Source
	}
	list()
	down = http.StatusServiceUnavailable
	for range 3 {
		if from := list(); from != outage.FromAPI {
			t.Errorf("from %s", from)
		}
	}
	if calls.Load() != 2 || len(warned) != 1 {
		t.Errorf("asked %d times, want 2; warnings %q", calls.Load(), warned)
	}
	w.Forget()
	w.Fault(sim.Fault{Kind: "503"})
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil { // notices the outage
		t.Fatal(err)
	}
	calls.Store(0)
	if from := list(); from != outage.FromCache || calls.Load() > 0 {
		t.Errorf("in an outage: from %s, registry asked %d times", from, calls.Load())
	}
}

// Addresses are a nicety: where the API does not give them, it is not asked
// for each again, and the fleet does not count as down.
func TestAddressesThatDoNotCome(t *testing.T) {
	w := fleettest.New(t, 16)
	w.Fault(sim.Fault{Kind: "503", Endpoint: "metadata"})
	asked := func() (n int) {
		for _, c := range w.Sim.Calls() {
			if c.Endpoint == "metadata" {
				n++
			}
		}
		return n
	}
	if r, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); err != nil || r.Fetched != 16 {
		t.Errorf("keys sync: %+v, %v", r, err)
	}
	if n := asked(); n == 0 || n > 8 {
		t.Errorf("%d calls for addresses, want at most those of one moment", n)
	}
	w.Sim.ResetCalls()
	if r, err := w.Open().Sync(t.Context(), fleet.SyncOptions{Refresh: true}); err != nil || r.Fetched != 16 {
		t.Errorf("keys sync again: %+v, %v", r, err)
	}
	if n := asked(); n > 0 {
		t.Errorf("%d calls for addresses in the next process", n)
	}
	if s, err := w.Open().Status(t.Context(), outage.Soon); err != nil || s.API.State != "up" {
		t.Errorf("status: %s, %v", s.API.State, err)
	}
}

// A newer orchestrator gives names, and what it knows of lieutenants.
func TestNewerOrchestrator(t *testing.T) {
	w := fleettest.New(t, 6)
	status := "working"
	withRegistry(t, w, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/lieutenants" {
			http.NotFound(rw, r)
			return
		}
		_, _ = fmt.Fprintf(rw, `{"lieutenants":[{"id":"01JA","vmId":%q,"name":"the-painter","status":%q,"lastActivityAt":"2026-02-24T03:20:10Z"}]}`, sim.MarketingID, status)
	})
	phase := func(options ...func(*fleet.Options)) string {
		t.Helper()
		if _, err := w.Open(options...).List(t.Context(), fleet.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), "the-painter")
		if err != nil || vm.ID != sim.MarketingID || vm.PhaseAsOf.IsZero() == (vm.Phase != "") {
			t.Fatalf("%+v, %v", vm, err)
		}
		return vm.Phase
	}
	if got := phase(); got != "working" {
		t.Errorf("phase %q", got)
	}
	status = "error"
	if got := phase(); got != "failed" {
		t.Errorf("phase %q", got)
	}
	status = "paused"
	if got := phase(); got != "" {
		t.Errorf("phase %q of a VM that is paused", got)
	}
}
