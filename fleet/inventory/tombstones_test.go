package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// A VM that a listing leaves out keeps its key and its name, and is itself
// again when it is listed again.
func TestGoneAndBack(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	fleettest.Record(t, w)
	front.Set(nil, fleettest.LeaveOut(t, sim.MarketingID))
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil || len(list.VMs) != 5 {
		t.Fatalf("%d VMs, %v", len(list.VMs), err)
	}
	vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), "marketing")
	if err != nil || vm.ID != sim.MarketingID {
		t.Fatalf("gone: %s, %v", vm.ID, err)
	}
	if conn, err := w.Open(fleettest.Offline).Access.Connect(t.Context(), vm, access.How{}); err != nil {
		t.Errorf("its key does not work any more: %v", err)
	} else {
		_ = conn.Close()
	}
	front.Set(nil, nil)
	if list, err = w.Open().List(t.Context(), fleet.ListOptions{}); err != nil || len(list.VMs) != 6 {
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
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	twin := sim.MarketingID[:8] + "-0000-4000-8000-000000000000"
	pem, err := w.Sim.VMs()[0].PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	store := fleettest.OpenStore(t, w)
	if _, err := store.PutKey(twin, pem, keystore.KeyInfo{Source: "api"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), sim.MarketingID[:8]); problem.KindOf(err) != problem.Ambiguous {
		t.Errorf("both alive as far as known: %v", err)
	}
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), sim.MarketingID[:8]); err != nil || vm.ID != sim.MarketingID {
		t.Errorf("%s, %v", vm.ID, err)
	}
	if vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), twin[:20]); err != nil || vm.ID != twin {
		t.Errorf("nobody else is meant: %s, %v", vm.ID, err)
	}
}

// Ids in a bundle of names are as hostile as its author.
func TestNamesOfNoVM(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	doc := `{"version":1,"aliases":{"evil":"../../x","dash":"-oProxyCommand=id","good":"` + sim.MarketingID + `"}}`
	if err := os.WriteFile(filepath.Join(w.Home, "default", "names.json"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := w.Open(fleettest.Offline).Inventory.CompletionNames()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.ContainsAny(n.Name, "./=") || n.Name == "evil" || n.Name == "dash" {
			t.Errorf("%q", n.Name)
		}
	}
	if vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), "good"); err != nil || vm.ID != sim.MarketingID {
		t.Errorf("%s, %v", vm.ID, err)
	}
}

// There is no moment without any pin while a new host key is accepted.
func TestAcceptedHostKeyReplacesAtOnce(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	vm := inventory.VM{ID: sim.MarketingID}
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		store := fleettest.OpenStore(t, w)
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
		w.Sim.VM(vm.ID).RotateHostKey()
		_, err := w.Open().Access.Connect(t.Context(), vm, access.How{})
		var e *problem.Error
		if fleettest.AsError(err, &e); e.Kind != problem.Identity {
			t.Fatal(err)
		}
		words := strings.Fields(e.Next)
		if err := w.Open().Access.AcceptHostKey(t.Context(), vm, words[len(words)-1]); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	all.Wait()
}
