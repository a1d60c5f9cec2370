package fleet_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// heard collects warnings.
func heard(into *[]string) func(*fleet.Options) {
	return func(o *fleet.Options) { o.Warn = func(s string) { *into = append(*into, s) } }
}

// unsavable keeps the key of one VM from being recorded, as a full disk does.
func unsavable(t *testing.T, w *world, id string) {
	t.Helper()
	dir := filepath.Join(w.home, "default", "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, id), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The API has just given the key: that it cannot be recorded must not cost the
// connection it was fetched for. Where recording was the purpose, it is the error.
func TestKeyThatCannotBeRecorded(t *testing.T) {
	w := newWorld(t, 6)
	vm := fleet.VM{ID: sim.MarketingID, Name: "marketing"}
	unsavable(t, w, vm.ID)
	var warnings []string
	f := w.open(heard(&warnings))
	conn, err := f.Connect(t.Context(), vm)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, "could not be recorded") {
		t.Errorf("nobody was told: %q", warnings)
	}
	res, err := w.open().Pull(t.Context(), fleet.PullRequest{Dest: t.TempDir(), Items: []fleet.PullItem{{VM: vm}}})
	if err != nil || res[0].Files == 0 {
		t.Errorf("pull: %v, %d files", err, res[0].Files)
	}
	if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); fleet.KindOf(err) != fleet.Storage {
		t.Errorf("keys sync: %v", err)
	}
}

// A damaged key is as good as none: the API is asked for it at once.
func TestDamagedKeyIsFetchedAgain(t *testing.T) {
	w := newWorld(t, 6)
	record(t, w)
	vm := fleet.VM{ID: sim.MarketingID, Name: "marketing"}
	if err := os.WriteFile(w.open().Dir()+"/keys/"+vm.ID+"/id", []byte("no key at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := w.open().Connect(t.Context(), vm)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// keys sync from cron: one call when nothing is missing, none while the API is
// known to be down.
func TestSyncMakesNoMoreCallsThanNeeded(t *testing.T) {
	w := newWorld(t, 12)
	if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.sim.ResetCalls()
		if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); err != nil {
			t.Fatal(err)
		}
		if n := len(w.sim.Calls()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	}
	w.fault(sim.Fault{Kind: "503"})
	if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); fleet.KindOf(err) != fleet.Unavailable {
		t.Error(err)
	}
	w.sim.ResetCalls()
	if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); fleet.KindOf(err) != fleet.Unavailable {
		t.Error(err)
	}
	if n := len(w.sim.Calls()); n != 0 {
		t.Errorf("%d calls during a known outage", n)
	}
}

// A VM whose key is refused (another owner's) or unknown holds up no other and
// is not asked about with every listing.
func TestRefusedKeysAreNotAskedForAgainAndAgain(t *testing.T) {
	w := newWorld(t, 6)
	foreign, lost := w.sim.VMs()[4].ID(), w.sim.VMs()[5].ID()
	w.fault(sim.Fault{Kind: sim.KindForbidden, Endpoint: "ssh_key", VM: foreign})
	w.fault(sim.Fault{Kind: sim.KindNotFound, Endpoint: "ssh_key", VM: lost})
	list, err := w.open().List(t.Context(), fleet.ListOptions{})
	if err != nil || list.KeysLeft != 2 {
		t.Fatalf("%d keys left, %v", list.KeysLeft, err)
	}
	w.sim.ResetCalls()
	for range 3 {
		report, err := w.open().Sync(t.Context(), fleet.SyncOptions{})
		if fleet.KindOf(err) != fleet.Partial || len(report.Failed) != 2 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	asked := 0
	for _, c := range w.sim.Calls() {
		if strings.HasSuffix(c.Path, "/ssh_key") && c.Method == http.MethodGet {
			asked++
		}
	}
	if asked != 0 {
		t.Errorf("asked %d times for keys that were just refused", asked)
	}
	w.sim.ClearFaults()
	conn, err := w.open().Connect(t.Context(), fleet.VM{ID: foreign})
	if err != nil {
		t.Fatal("who asks for that VM is not put off:", err)
	}
	_ = conn.Close()
	if r, err := w.open(later).Sync(t.Context(), fleet.SyncOptions{Refresh: true}); err != nil || r.Fetched == 0 {
		t.Errorf("--refresh: %+v, %v", r, err)
	}
}
