package inventory_test

import (
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
)

// A VM whose name can be taken for another's is marked in the listing; where one
// of the two can be typed on a plain keyboard, the other is. Typing a name means
// exactly that name.
func TestLookalikesAreMarked(t *testing.T) {
	w := fleettest.New(t, 9)
	vms := w.Sim.VMs()
	const fake, full = "m\u0430rketing", "\uff50rod"
	for i, name := range []string{"marketing", fake, "prod", full, "web-1", "web-l", "web-2", "\u0430\u0435", "\u0430\u03b5"} {
		vms[i].SetLabels(map[string]string{"name": name})
	}
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{fake: "marketing", full: "prod", "web-1": "web-l", "web-l": "web-1", "\u0430\u0435": "\u0430\u03b5", "\u0430\u03b5": "\u0430\u0435"}
	for _, vm := range list.VMs {
		if vm.LooksLike != want[vm.Name] {
			t.Errorf("%+q looks like %+q, want %+q", vm.Name, vm.LooksLike, want[vm.Name])
		}
	}
	for i, name := range []string{"marketing", fake} {
		vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), name)
		if err != nil || vm.ID != vms[i].ID() {
			t.Errorf("%+q is %s, want %s (%v)", name, vm.ID, vms[i].ID(), err)
		}
	}
}
