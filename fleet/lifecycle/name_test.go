package lifecycle_test

import (
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// The name of a VM that is gone is free, and an alias that still means that VM
// does not hide the new one.
func TestNameOfAVMThatIsGone(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.RecordAll(t, w)
	if _, err := w.Open().Inventory.SetAlias(t.Context(), "marketing", inventory.VM{ID: sim.MarketingID}, false); err != nil {
		t.Fatal(err)
	}
	branch := func(name string) ([]lifecycle.Made, error) {
		_, made, err := w.Open().Lifecycle.Branch(t.Context(), "chad-dev", lifecycle.BranchRequest{Count: 1, Name: name})
		return made, err
	}
	if made, err := branch("marketing"); problem.KindOf(err) != problem.Usage || len(made) > 0 || branchCalls(w) != 0 {
		t.Errorf("a name that is taken: %v, %v", made, err)
	}
	if err := w.Sim.VM(sim.MarketingID).Delete(); err != nil {
		t.Fatal(err)
	}
	made, err := branch("marketing")
	if err != nil || len(made) != 1 || made[0].Name != "marketing" {
		t.Fatalf("%+v, %v", made, err)
	}
	vm, err := w.Open().Inventory.One(t.Context(), "marketing")
	if err != nil || vm.ID != made[0].VMID || !vm.Key.Recorded && !fleettest.OpenStore(t, w).HasKey(vm.ID) {
		t.Errorf("marketing is %s, want %s (%v)", vm.ID, made[0].VMID, err)
	}
}

// A name is asked for twice only when the first answer was lost, and is there
// after each kind of trouble: as a label, or as an alias.
func TestNameInTrouble(t *testing.T) {
	for kind, label := range map[string]bool{"reset": true, "reset-after": true, "503-after": true, "truncated": true, "404": false, "403": false} {
		w := fleettest.New(t, 6)
		fleettest.RecordAll(t, w)
		f := sim.Fault{Kind: kind, Endpoint: "label"}
		if label {
			f.Count = 1
		}
		w.Fault(f)
		_, made, err := w.Open().Lifecycle.Branch(t.Context(), "chad-dev", lifecycle.BranchRequest{Count: 1, Name: "next"})
		if err != nil || len(made) != 1 || made[0].Name != "next" {
			t.Fatalf("%s: %+v, %v", kind, made, err)
		}
		vm, err := w.Open().Inventory.One(t.Context(), "next")
		if err != nil || vm.ID != made[0].VMID || (vm.Labels["name"] == "next") != label {
			t.Errorf("%s: %+v, %v", kind, vm, err)
		}
	}
}
