package sim

import (
	"fmt"
	"time"
)

// resident describes one VM of the fleet that a simulator starts with.
type resident struct {
	name, role, kind, image string
	busy                    bool
}

// residents are the twelve VMs of the outage: six lieutenants, of which the
// report names five, and support VMs.
func residents() []resident {
	return []resident{
		{name: "chad-dev", role: "lieutenant", kind: "code", image: "lieutenant", busy: true},
		{name: "chad-fix", role: "lieutenant", kind: "code", image: "lieutenant"},
		{name: "infra-ui", role: "lieutenant", kind: "site", image: "lieutenant"},
		{name: "marketing", role: "lieutenant", kind: "images", image: "lieutenant", busy: true},
		{name: "investigator", role: "lieutenant", kind: "report", image: "lieutenant"},
		{name: "docs-writer", role: "lieutenant", kind: "report", image: "lieutenant"},
		{name: "golden", role: "golden", kind: "support", image: "base"},
		{name: "registry", role: "infra", kind: "support", image: "base"},
		{name: "build-cache", role: "infra", kind: "support", image: "base"},
		{name: "metrics", role: "infra", kind: "support", image: "base"},
		{name: "runner-1", role: "worker", kind: "support", image: "worker"},
		{name: "runner-2", role: "worker", kind: "support", image: "worker"},
	}
}

// makeFleet registers the configured number of VMs without making any files.
func (s *Sim) makeFleet() {
	known := residents()
	start := s.now().Add(-50 * time.Hour).UTC().Truncate(time.Microsecond)
	for i := range s.cfg.VMs {
		r := resident{name: fmt.Sprintf("worker-%04d", i+1), role: "worker", kind: "support", image: "worker"}
		if i < len(known) {
			r = known[i]
		}
		id := s.uuid(fmt.Sprintf("vm %d", i))
		if r.name == "marketing" {
			id = MarketingID
		}
		labels := map[string]string{"name": r.name, "role": r.role}
		created := start.Add(time.Duration(i) * 137 * time.Second)
		s.addVM(&VM{id: id, image: r.image, kind: r.kind, created: created, labels: labels})
	}
}

// addVM registers a VM that runs from now on.
func (s *Sim) addVM(vm *VM) {
	vm.sim, vm.state = s, StateRunning
	s.mu.Lock()
	vm.index = len(s.order)
	s.vms[vm.id] = vm
	s.order = append(s.order, vm)
	s.mu.Unlock()
}

// busy reports whether a lieutenant of the first fleet is at work from the
// beginning.
func (vm *VM) busy() bool {
	known := residents()
	return vm.index < len(known) && known[vm.index].busy
}

func (vm *VM) deletedAt() time.Time {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.deleted
}
