package inventory_test

import (
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// Whoever uses the name that a VM had before is told the new one, with the API
// and without, and nothing is done.
func TestRenamed(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	w.Sim.VM(sim.MarketingID).SetLabels(map[string]string{"name": "builder", "lieutenant": "builder"})
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*fleet.Fleet{"API": w.Open(), "offline": w.Open(fleettest.Offline)} {
		_, err := f.Inventory.One(t.Context(), "marketing")
		if problem.KindOf(err) != problem.NotFound || !strings.Contains(problem.Why(err), "is called builder since ") {
			t.Errorf("%s: %v", name, err)
		}
		if vm, err := f.Inventory.One(t.Context(), "builder"); err != nil || vm.ID != sim.MarketingID {
			t.Errorf("%s: %s, %v", name, vm.ID, err)
		}
	}
}
