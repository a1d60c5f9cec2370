package remote_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// One VM among twelve whose shell trickles, floods stderr or never answers holds up
// none of the others, and is named.
func TestOneHostileVM(t *testing.T) {
	if testing.Short() {
		t.Skip("starts twelve SSH servers")
	}
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	w := fleettest.NewOf(t, sim.Config{VMs: 12, Seed: 1, Still: true, Guest: sim.GuestSSHD})
	fleettest.Record(t, w)
	w.Options.Patience = 8 * time.Second
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, bashrc := range map[string]string{
		"trickles":      "while :; do printf x; sleep 1; done",
		"floods stderr": "while :; do echo flood >&2; sleep 0.001; done",
		"never answers": "sleep 300",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(w.Sim.VM(sim.MarketingID).Root(), "root", ".bashrc")
			if err := os.WriteFile(file, []byte(bashrc+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			others := len(list.VMs) - 1
			activities, err := w.Open().Output.Activities(t.Context(), list.VMs)
			known := 0
			for _, a := range activities {
				if a.Phase != remote.PhaseUnknown {
					known++
				}
			}
			if known != others || problem.KindOf(err) != problem.Partial || !strings.Contains(err.Error(), "marketing (the VM is late") {
				t.Errorf("status: %d answered, %v", known, err)
			}
			if _, err = w.Open().Output.Answers(t.Context(), list.VMs, remote.AnswerOptions{}); err == nil || !strings.Contains(err.Error(), "marketing (the VM is late") {
				t.Errorf("answers: %v", err)
			}
			execBesideHostile(t, w.Open(), list.VMs)
		})
	}
	drillBesideHostile(t, w)
}

// execBesideHostile runs a command everywhere and gives up when all but one are done.
func execBesideHostile(t *testing.T, f *fleet.Fleet, vms []inventory.VM) {
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	enough := errors.New("all others are done")
	var mu sync.Mutex
	var done []string
	guard := time.AfterFunc(2*time.Minute, func() { stop(errors.New("the others are held up")) })
	defer guard.Stop()
	_, _ = f.Remote.Exec(ctx, remote.ExecRequest{VMs: vms, Command: "echo here", Output: func(inventory.VM) (io.Writer, io.Writer) { return io.Discard, io.Discard },
		OnDone: func(r remote.ExecResult) {
			mu.Lock()
			defer mu.Unlock()
			if r.Err == nil {
				done = append(done, r.VMName)
			}
			if len(done) == len(vms)-1 {
				stop(enough)
			}
		}})
	if !errors.Is(context.Cause(ctx), enough) {
		t.Errorf("exec: %v; done: %q", context.Cause(ctx), done)
	}
}

// drillBesideHostile logs in everywhere: what a shell does is nothing to it, and a
// VM whose server does not answer is named.
func drillBesideHostile(t *testing.T, w *fleettest.World) {
	w.Fault(sim.Fault{Kind: "gateway-hang", VM: sim.MarketingID})
	defer w.Sim.ClearFaults()
	results, err := w.Open().Drill(t.Context(), fleet.DrillOptions{Selection: inventory.Selection{All: true}})
	if problem.KindOf(err) != problem.Unreachable {
		t.Errorf("drill: %v", err)
	}
	for _, r := range results {
		if r.OK == (r.VMID == sim.MarketingID) {
			t.Errorf("drill: %s reachable: %t, %s", r.Name, r.OK, r.Why)
		}
	}
}
