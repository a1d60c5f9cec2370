package inventory

import (
	"cmp"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
)

// phaseOf is what an orchestrator's status says of a lieutenant's phase; "" if
// it says nothing: running or paused is the VM, and starting is over when it is
// read (docs/platform.md).
func phaseOf(status string) string {
	switch status {
	case "idle", "working", "stopped":
		return status
	case "error":
		return string(lieutenant.PhaseFailed)
	}
	return ""
}

// seenAt is when an orchestrator's status was true, to the minute: it is
// recorded, and a heartbeat must not have the names written with every listing.
func (iv *Inventory) seenAt(vm api.RegistryVM) time.Time {
	if phaseOf(vm.Status) == "" {
		return time.Time{}
	}
	at := vm.Seen
	if at.IsZero() {
		at = iv.o.Now()
	}
	return at.UTC().Truncate(time.Minute)
}

// setPhase notes what the orchestrator said last of the VM's lieutenant.
func (b nameBook) setPhase(vm *VM) {
	for _, n := range b.names[vm.ID] {
		if n.Phase != "" && !n.SeenAt.Before(vm.PhaseAsOf) {
			vm.Phase, vm.PhaseAsOf = cmp.Or(n.Phase, vm.Phase), n.SeenAt
		}
	}
}
