package keys_test

import (
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// The API has just given the key: that it cannot be recorded must not cost the
// connection it was fetched for. Where recording was the purpose, it is the error.
func TestKeyThatCannotBeRecorded(t *testing.T) {
	w := fleettest.New(t, 6)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	fleettest.Unsavable(t, w)
	var warnings []string
	f := w.Open(fleettest.Heard(&warnings))
	conn, err := f.Access.Connect(t.Context(), vm, access.How{})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, "could not be recorded") {
		t.Errorf("nobody was told: %q", warnings)
	} else if !strings.Contains(text, "its host key is SHA256:") || strings.Contains(text, "is recorded") {
		t.Errorf("of the host key that was not recorded is said: %q", warnings)
	}
	res, err := w.Open().Remote.Pull(t.Context(), remote.PullRequest{Dest: t.TempDir(), Items: []remote.PullItem{{VM: vm}}})
	if err != nil || res[0].Files == 0 {
		t.Errorf("pull: %v, %d files", err, res[0].Files)
	}
	if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Storage {
		t.Errorf("keys sync: %v", err)
	}
}

// A damaged key is as good as none: the API is asked for it at once.
func TestDamagedKeyIsFetchedAgain(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	if err := os.WriteFile(w.Open().Keys.Dir()+"/keys/"+vm.ID+"/id", []byte("no key at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := w.Open().Access.Connect(t.Context(), vm, access.How{})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// keys sync from cron: one call when nothing is missing, none while the API is
// known to be down.
func TestSyncMakesNoMoreCallsThanNeeded(t *testing.T) {
	w := fleettest.New(t, 12)
	if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.Sim.ResetCalls()
		if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); err != nil {
			t.Fatal(err)
		}
		if n := len(w.Sim.Calls()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	}
	w.Fault(sim.Fault{Kind: "503"})
	if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Unavailable {
		t.Error(err)
	}
	w.Sim.ResetCalls()
	if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Unavailable {
		t.Error(err)
	}
	if n := len(w.Sim.Calls()); n != 0 {
		t.Errorf("%d calls during a known outage", n)
	}
}

// The first sync of a large fleet asks for each key and nothing beside.
func TestFirstSyncOfManyVMs(t *testing.T) {
	const vms = 40
	w := fleettest.New(t, vms)
	if r, err := w.Open().Sync(t.Context(), fleet.SyncOptions{NoHostKeys: true}); err != nil || r.Fetched != vms {
		t.Fatalf("%d keys, %v", r.Fetched, err)
	}
	if n := len(w.Sim.Calls()); n != vms+1 {
		t.Errorf("%d calls for %d VMs", n, vms)
	}
}

// A VM whose key is refused (another owner's) or unknown holds up no other and
// is not asked about with every listing.
func TestRefusedKeysAreNotAskedForAgainAndAgain(t *testing.T) {
	w := fleettest.New(t, 6)
	foreign, lost := w.Sim.VMs()[4].ID(), w.Sim.VMs()[5].ID()
	front := fleettest.NewFront(w)
	var asked atomic.Int32
	front.Set(func(r *http.Request) *fleettest.Reply {
		if strings.HasSuffix(r.URL.Path, "/ssh_key") {
			asked.Add(1)
		}
		switch {
		case strings.HasSuffix(r.URL.Path, foreign+"/ssh_key"):
			return &fleettest.Reply{Status: http.StatusForbidden, Body: []byte("403 Forbidden")}
		case strings.HasSuffix(r.URL.Path, lost+"/ssh_key"):
			return &fleettest.Reply{Status: http.StatusNotFound, Header: http.Header{"Content-Type": {"application/json"}},
				Body: []byte(`{"error":"VM not found","success":false}`)}
		}
		return nil
	}, nil)
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil || list.KeysLeft() != 2 {
		t.Fatalf("%d keys left, %v", list.KeysLeft(), err)
	}
	for n := range 3 {
		if n == 1 { // the first time it may just have been mended
			asked.Store(0)
		}
		report, err := w.Open().Sync(t.Context(), fleet.SyncOptions{})
		if problem.KindOf(err) != problem.Partial || len(report.Failed) != 2 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times for keys that were just refused", n)
	}
	if _, err := w.Open(fleettest.Later).Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Partial || asked.Load() != 2 {
		t.Errorf("later: asked %d times, %v", asked.Load(), err)
	}
	front.Set(nil, nil)
	conn, err := w.Open().Access.Connect(t.Context(), inventory.VM{ID: foreign}, access.How{})
	if err != nil {
		t.Fatal("who asks for that VM is not put off:", err)
	}
	_ = conn.Close()
	if r, err := w.Open(fleettest.Later).Sync(t.Context(), fleet.SyncOptions{Refresh: true}); err != nil || r.Fetched == 0 {
		t.Errorf("--refresh: %+v, %v", r, err)
	}
}
