package inventory

import (
	"cmp"
	"context"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// StateNow says that a state was asked for just now.
const StateNow = "now"

// StateOf says what state the VM is in, or when nobody can tell now, what
// it was. It only explains a failure, so it neither waits for the API nor
// insists on it, whatever the command's mode.
func (iv *Inventory) StateOf(ctx context.Context, m outage.Mode, vm VM) (state, when string) {
	ctx, stop := context.WithTimeout(ctx, iv.api.Brief())
	defer stop()
	answer, err := outage.Ask(ctx, iv.api, outage.Call[string]{
		Mode: iv.api.Briefly(m), What: "ask for the state of " + vm.Title(), Repeatable: true,
		Live: func(ctx context.Context, c *api.Client) (string, error) {
			now, err := c.Status(ctx, vm.ID)
			return string(now.State), err
		},
		Cached: func() (string, time.Time, error) { return iv.recordedState(vm.ID) },
	})
	switch {
	case err == nil && answer.Source == outage.FromAPI:
		return answer.Value, StateNow
	case problem.KindOf(err) == problem.NotFound:
		return "deleted", StateNow
	}
	state, asOf, err := iv.recordedState(vm.ID) // a refused API key does not make it less true
	if err != nil {
		return "", ""
	}
	return state, "as of " + problem.Ago(iv.o.Now(), asOf)
}

// recordedState is the VM's state in the recorded inventory.
func (iv *Inventory) recordedState(id string) (string, time.Time, error) {
	inv, err := iv.keys.Inventory()
	if err != nil {
		return "", time.Time{}, outage.ErrNothingCached
	}
	for _, v := range inv.VMs {
		if v.ID == id {
			return v.State, inv.AsOf, nil
		}
	}
	return "", time.Time{}, outage.ErrNothingCached
}

// RecordStates records states that the API told, by VM id, so that the cache
// does not show the old ones until the next listing.
func (iv *Inventory) RecordStates(told map[string]string) error {
	if len(told) == 0 {
		return nil
	}
	return iv.keys.UpdateInventory(func(vms []keystore.InventoryVM) {
		for i, v := range vms {
			vms[i].State = cmp.Or(told[v.ID], v.State)
		}
	})
}
