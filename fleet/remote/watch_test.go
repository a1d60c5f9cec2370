package remote_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// A VM that says a little from time to time, for ever, holds up no other, though
// there is one place for all; it is told by name.
func TestSlowVM(t *testing.T) {
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	w := fleettest.NewOf(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD})
	fleettest.Record(t, w)
	trickle := "while :; do printf x; sleep 1; done\n"
	if err := os.WriteFile(filepath.Join(w.Sim.VM(sim.MarketingID).Root(), "root/.bashrc"), []byte(trickle), 0o600); err != nil {
		t.Fatal(err)
	}
	f := w.Open()
	ctx := t.Context()
	list, err := f.Inventory.Resolve(ctx, inventory.Selection{All: true})
	if err != nil {
		t.Fatal(err)
	}
	var items []remote.PullItem
	for _, vm := range list {
		items = append(items, remote.PullItem{VM: vm, Paths: []string{"/etc/hostname"}})
	}
	t.Run("watch", func(t *testing.T) {
		t.Parallel()
		watchSlow(t, f)
	})
	t.Run("pull", func(t *testing.T) {
		t.Parallel()
		pullSlow(t, f, items)
	})
}

func watchSlow(t *testing.T, f *fleet.Fleet) {
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	rounds, late := map[string]int{}, map[string]int{}
	enough := func() {
		others := 0
		for name, n := range rounds {
			if name != "marketing" && n > 1 {
				others++
			}
		}
		if others == 5 && late["marketing"] > 0 {
			stop()
		}
	}
	_ = f.Remote.Watch(ctx, remote.WatchRequest{
		Selection: inventory.Selection{All: true}, Interval: 100 * time.Millisecond,
		Paths: func(inventory.VM) []string { return []string{"/etc/hostname"} },
		Pull:  remote.PullRequest{Dest: t.TempDir(), PerVM: true, Jobs: 1, Patience: 2 * time.Second},
		OnResult: func(r remote.PullResult) {
			rounds[r.VMName]++
			enough()
		},
		OnLate: func(vm inventory.VM) {
			late[vm.Name]++
			enough()
		},
	})
	if rounds["marketing"] > 0 || len(rounds) != 5 || late["marketing"] == 0 {
		t.Errorf("rounds %v, late %v", rounds, late)
	}
}

func pullSlow(t *testing.T, f *fleet.Fleet, items []remote.PullItem) {
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	told, done := false, 0
	_, _ = f.Remote.Pull(ctx, remote.PullRequest{
		Items: items, Dest: t.TempDir(), PerVM: true, Patience: 2 * time.Second,
		OnDone: func(r remote.PullResult) {
			if r.Err == nil {
				done++
			}
		},
		OnWaiting: func(vms []inventory.VM) {
			if len(vms) == 1 && vms[0].Name == "marketing" { // a busy machine may be late with others for a while
				told = true
				stop()
			}
		},
	})
	if done != 5 || !told {
		t.Errorf("%d were done, told of it: %v", done, told)
	}
}
