package remote_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/wan"
)

// A command on 100 VMs at 80 ms, and on the slowest of them alone. Client and
// simulated VMs share this machine's CPU.
func BenchmarkExecAll(b *testing.B) {
	w := fleettest.NewOf(b, sim.Config{VMs: 100, Seed: 1, Still: true})
	relay, err := wan.Listen(b.Context(), w.Sim.Gateway(), wan.Options{RTT: 80 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer relay.Close()
	f := w.Open(func(o *fleet.Options) { o.VMGateway = relay.Addr })
	list, err := f.List(b.Context(), fleet.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	slow := slices.IndexFunc(list.VMs, func(vm inventory.VM) bool { return vm.Name == "marketing" })
	for name, command := range map[string]string{"even": "true", "slow": "test $(hostname) != marketing || sleep 2"} {
		b.Run(name, func(b *testing.B) {
			run := func(vms []inventory.VM) float64 {
				start := time.Now()
				_, err := f.Remote.Exec(b.Context(), remote.ExecRequest{VMs: vms, Command: command,
					Output: func(inventory.VM) (stdout, stderr io.Writer) { return nil, nil }})
				if err != nil {
					b.Fatal(err)
				}
				return time.Since(start).Seconds()
			}
			run(list.VMs) // the simulator makes a VM's files at the first login
			var all, alone float64
			for b.Loop() {
				alone += run(list.VMs[slow : slow+1])
				all += run(list.VMs)
			}
			b.ReportMetric(all/float64(b.N), "s/all")
			b.ReportMetric(alone/float64(b.N), "s/slowest")
			b.ReportMetric(all/alone, "ratio")
		})
	}
}
