package fleet_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// heard collects warnings.
func heard(into *[]string) func(*fleet.Options) {
	return func(o *fleet.Options) { o.Warn = func(s string) { *into = append(*into, s) } }
}

// unsavable keeps everything from being recorded, as a full disk does, for
// root too: no lock can be made.
func unsavable(t *testing.T, w *world) {
	t.Helper()
	dir := filepath.Join(w.home, "default")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "locks"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The API has just given the key: that it cannot be recorded must not cost the
// connection it was fetched for. Where recording was the purpose, it is the error.
func TestKeyThatCannotBeRecorded(t *testing.T) {
	w := newWorld(t, 6)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	unsavable(t, w)
	var warnings []string
	f := w.open(heard(&warnings))
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
	res, err := w.open().Remote.Pull(t.Context(), remote.PullRequest{Dest: t.TempDir(), Items: []remote.PullItem{{VM: vm}}})
	if err != nil || res[0].Files == 0 {
		t.Errorf("pull: %v, %d files", err, res[0].Files)
	}
	if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Storage {
		t.Errorf("keys sync: %v", err)
	}
}

// A damaged key is as good as none: the API is asked for it at once.
func TestDamagedKeyIsFetchedAgain(t *testing.T) {
	w := newWorld(t, 6)
	record(t, w)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	if err := os.WriteFile(w.open().Keys.Dir()+"/keys/"+vm.ID+"/id", []byte("no key at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := w.open().Access.Connect(t.Context(), vm, access.How{})
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
	if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Unavailable {
		t.Error(err)
	}
	w.sim.ResetCalls()
	if _, err := w.open().Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Unavailable {
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
	front := newFront(w)
	var asked atomic.Int32
	front.set(func(r *http.Request) *reply {
		if strings.HasSuffix(r.URL.Path, "/ssh_key") {
			asked.Add(1)
		}
		switch {
		case strings.HasSuffix(r.URL.Path, foreign+"/ssh_key"):
			return &reply{status: http.StatusForbidden, body: []byte("403 Forbidden")}
		case strings.HasSuffix(r.URL.Path, lost+"/ssh_key"):
			return &reply{status: http.StatusNotFound, header: http.Header{"Content-Type": {"application/json"}},
				body: []byte(`{"error":"VM not found","success":false}`)}
		}
		return nil
	}, nil)
	list, err := w.open().List(t.Context(), fleet.ListOptions{})
	if err != nil || list.KeysLeft() != 2 {
		t.Fatalf("%d keys left, %v", list.KeysLeft(), err)
	}
	for n := range 3 {
		if n == 1 { // the first time it may just have been mended
			asked.Store(0)
		}
		report, err := w.open().Sync(t.Context(), fleet.SyncOptions{})
		if problem.KindOf(err) != problem.Partial || len(report.Failed) != 2 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times for keys that were just refused", n)
	}
	if _, err := w.open(later).Sync(t.Context(), fleet.SyncOptions{}); problem.KindOf(err) != problem.Partial || asked.Load() != 2 {
		t.Errorf("later: asked %d times, %v", asked.Load(), err)
	}
	front.set(nil, nil)
	conn, err := w.open().Access.Connect(t.Context(), inventory.VM{ID: foreign}, access.How{})
	if err != nil {
		t.Fatal("who asks for that VM is not put off:", err)
	}
	_ = conn.Close()
	if r, err := w.open(later).Sync(t.Context(), fleet.SyncOptions{Refresh: true}); err != nil || r.Fetched == 0 {
		t.Errorf("--refresh: %+v, %v", r, err)
	}
}
