package fleet_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// What --timeout ends is neither an unexpected error nor an interruption.
func TestOutOfTime(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	big := filepath.Join(w.Sim.VM(vm.ID).Root(), "root", "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, 2<<30); err != nil {
		t.Fatal(err)
	}
	for name, work := range map[string]func(context.Context, *fleet.Fleet) error{
		"pull": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Remote.Pull(ctx, remote.PullRequest{Dest: t.TempDir(), Items: []remote.PullItem{{VM: vm, Paths: []string{"/root/big"}}}})
			return err
		},
		"exec": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Remote.Exec(ctx, remote.ExecRequest{VMs: []inventory.VM{vm}, Command: "sleep 30",
				Output: func(inventory.VM) (io.Writer, io.Writer) { return io.Discard, io.Discard }})
			return err
		},
	} {
		ctx, stop := problem.WithTimeout(t.Context(), 400*time.Millisecond)
		err := work(ctx, w.Open())
		stop()
		if problem.KindOf(err) != problem.Unavailable || problem.OriginOf(err) != problem.OriginLocal {
			t.Errorf("%s: %s: %v", name, problem.KindOf(err), err)
		}
	}
}
