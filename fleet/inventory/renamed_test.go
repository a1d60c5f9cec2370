//go:build unix

package inventory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
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
		vm, err := f.Inventory.One(t.Context(), "builder")
		if err != nil || vm.ID != sim.MarketingID {
			t.Errorf("%s: %s, %v", name, vm.ID, err)
		}
		formerly(t, name, vm, "marketing")
	}
}

// formerly wants the VM to show these names as those that it had.
func formerly(t *testing.T, when string, vm inventory.VM, names ...string) {
	t.Helper()
	var got []string
	for _, n := range vm.FormerNames {
		if got = append(got, n.Name); n.Source == "" || n.UntilAt.IsZero() {
			t.Errorf("%s: %+v", when, n)
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("%s: %s was %q, want %q", when, vm.Title(), got, names)
	}
}

// One and the same source says another name of a VM: the newer wins, and the
// older is shown beside it and told of, before it is recorded and after. Said
// again, it is no former name.
func TestSourceSaysAnotherName(t *testing.T) {
	w := fleettest.New(t, 6)
	user := t.TempDir()
	w.Options.UserHome = user
	one, two := w.Sim.VMs()[0].ID(), w.Sim.VMs()[1].ID()
	for i, step := range []struct {
		pairs    [][2]string
		name     string
		was      []string
		unlisted bool // no live listing has recorded it yet
	}{
		{pairs: [][2]string{{"scribe", one}, {"painter", two}}, name: "scribe"},
		{pairs: [][2]string{{"writer", one}, {"painter", two}}, name: "writer", was: []string{"scribe"}, unlisted: true},
		{pairs: [][2]string{{"writer", one}, {"painter", two}}, name: "writer", was: []string{"scribe"}},
		{name: "writer", was: []string{"scribe"}},
		{pairs: [][2]string{{"editor", one}}, name: "editor", was: []string{"writer", "scribe"}},
		{pairs: [][2]string{{"scribe", one}}, name: "scribe", was: []string{"editor", "writer"}},
	} {
		when := fmt.Sprintf("step %d", i)
		lieutenantsFile(t, user, step.pairs...)
		if !step.unlisted {
			if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		f := w.Open(fleettest.Offline)
		vm, err := f.Inventory.One(t.Context(), step.name)
		if err != nil || vm.ID != one {
			t.Fatalf("%s: %s, %v", when, vm.ID, err)
		}
		formerly(t, when, vm, step.was...)
		for _, n := range step.was {
			if _, err := f.Inventory.One(t.Context(), n); problem.KindOf(err) != problem.NotFound || !strings.Contains(problem.Why(err), "is called "+vm.Name+" since ") {
				t.Errorf("%s: %s: %v (%s)", when, n, err, problem.Why(err))
			}
		}
		if vm, err := f.Inventory.One(t.Context(), "painter"); err != nil || vm.ID != two || len(vm.FormerNames) > 0 {
			t.Errorf("%s: %+v, %v", when, vm, err)
		}
	}
}
