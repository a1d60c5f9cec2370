package fleet_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// leaveOut makes the listing leave out a VM.
func leaveOut(t *testing.T, id string) func(*http.Request, *reply) {
	return func(r *http.Request, a *reply) {
		if !strings.HasSuffix(r.URL.Path, "/vms") {
			return
		}
		var vms []map[string]any
		if err := json.Unmarshal(a.body, &vms); err != nil {
			t.Error(err)
		}
		vms = slices.DeleteFunc(vms, func(vm map[string]any) bool { return vm["vm_id"] == id })
		a.body, _ = json.Marshal(vms)
		a.header.Del("Content-Length")
	}
}

func openStore(t *testing.T, w *world) *keystore.Store {
	t.Helper()
	store, err := keystore.Open(filepath.Join(w.home, "default"), keystore.Options{ParseKey: sshconn.ParseKey})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// A VM that a listing leaves out keeps its key and its name, and is itself
// again when it is listed again.
func TestGoneAndBack(t *testing.T) {
	w := newWorld(t, 6)
	front := newFront(w)
	record(t, w)
	front.set(nil, leaveOut(t, sim.MarketingID))
	list, err := w.open().List(t.Context(), fleet.ListOptions{})
	if err != nil || len(list.VMs) != 5 {
		t.Fatalf("%d VMs, %v", len(list.VMs), err)
	}
	vm, err := w.open(offline).Inventory.One(t.Context(), "marketing")
	if err != nil || vm.ID != sim.MarketingID {
		t.Fatalf("gone: %s, %v", vm.ID, err)
	}
	if conn, err := w.open(offline).Access.Connect(t.Context(), vm, access.How{}); err != nil {
		t.Errorf("its key does not work any more: %v", err)
	} else {
		_ = conn.Close()
	}
	front.set(nil, nil)
	if list, err = w.open().List(t.Context(), fleet.ListOptions{}); err != nil || len(list.VMs) != 6 {
		t.Fatalf("%d VMs, %v", len(list.VMs), err)
	}
	for _, vm := range list.VMs {
		if !vm.GoneAt.IsZero() || vm.ID == sim.MarketingID && vm.Name != "marketing" {
			t.Errorf("back: %+v", vm)
		}
	}
}

// The beginning of an id that a living VM and one that is gone share means the
// living one, also without the API.
func TestLivingBeforeGone(t *testing.T) {
	w := newWorld(t, 6)
	record(t, w)
	twin := sim.MarketingID[:8] + "-0000-4000-8000-000000000000"
	pem, err := w.sim.VMs()[0].PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	store := openStore(t, w)
	if _, err := store.PutKey(twin, pem, keystore.KeyInfo{Source: "api"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open(offline).Inventory.One(t.Context(), sim.MarketingID[:8]); problem.KindOf(err) != problem.Ambiguous {
		t.Errorf("both alive as far as known: %v", err)
	}
	if _, err := w.open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if vm, err := w.open(offline).Inventory.One(t.Context(), sim.MarketingID[:8]); err != nil || vm.ID != sim.MarketingID {
		t.Errorf("%s, %v", vm.ID, err)
	}
	if vm, err := w.open(offline).Inventory.One(t.Context(), twin[:20]); err != nil || vm.ID != twin {
		t.Errorf("nobody else is meant: %s, %v", vm.ID, err)
	}
}

// Ids in a bundle of names are as hostile as its author.
func TestNamesOfNoVM(t *testing.T) {
	w := newWorld(t, 6)
	record(t, w)
	doc := `{"version":1,"aliases":{"evil":"../../x","dash":"-oProxyCommand=id","good":"` + sim.MarketingID + `"}}`
	if err := os.WriteFile(filepath.Join(w.home, "default", "names.json"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := w.open(offline).Inventory.CompletionNames()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.ContainsAny(n.Name, "./=") || n.Name == "evil" || n.Name == "dash" {
			t.Errorf("%q", n.Name)
		}
	}
	if vm, err := w.open(offline).Inventory.One(t.Context(), "good"); err != nil || vm.ID != sim.MarketingID {
		t.Errorf("%s, %v", vm.ID, err)
	}
}

// There is no moment without any pin while a new host key is accepted.
func TestAcceptedHostKeyReplacesAtOnce(t *testing.T) {
	w := newWorld(t, 6)
	record(t, w)
	vm := inventory.VM{ID: sim.MarketingID}
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		store := openStore(t, w)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if r, err := store.Record(vm.ID); err == nil && len(r.HostKeys) != 1 {
				t.Errorf("%d host keys", len(r.HostKeys))
				return
			}
		}
	})
	for range 20 {
		w.sim.VM(vm.ID).RotateHostKey()
		_, err := w.open().Access.Connect(t.Context(), vm, access.How{})
		var e *problem.Error
		if asError(err, &e); e.Kind != problem.Identity {
			t.Fatal(err)
		}
		words := strings.Fields(e.Next)
		if err := w.open().Access.AcceptHostKey(t.Context(), vm, words[len(words)-1]); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	all.Wait()
}
