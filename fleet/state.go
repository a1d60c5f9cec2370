package fleet

import (
	"cmp"
	"context"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// stateNow says that a state was asked for just now.
const stateNow = "now"

// currentState says what state the VM is in, or when nobody can tell now, what
// it was. It only explains a failure, so it neither waits for the API nor
// insists on it, whatever the command's mode.
func (f *Fleet) currentState(ctx context.Context, vm VM) (state, when string) {
	mode := outage.Auto
	if f.API.Mode(f.mode) == outage.Offline {
		mode = outage.Offline
	}
	ctx, stop := context.WithTimeout(ctx, outage.ProbeTimeout)
	defer stop()
	answer, err := outage.Ask(ctx, f.API, outage.Call[string]{
		Mode: mode,
		What: "ask for the state of " + vm.Title(), Repeatable: true,
		Live: func(ctx context.Context, c *api.Client) (string, error) {
			now, err := c.Status(ctx, vm.ID)
			return string(now.State), err
		},
		Recorded: func() (string, time.Time, error) { return f.recordedState(vm.ID) },
	})
	switch {
	case err == nil && answer.Source == outage.FromAPI:
		return answer.Value, stateNow
	case problem.KindOf(err) == problem.NotFound:
		return "deleted", stateNow
	}
	state, asOf, err := f.recordedState(vm.ID) // a refused API key does not make it less true
	if err != nil {
		return "", ""
	}
	return state, "as of " + problem.Ago(f.o.Now(), asOf)
}

// recordedState is the VM's state in the recorded inventory.
func (f *Fleet) recordedState(id string) (string, time.Time, error) {
	inv, err := f.keys.Inventory()
	if err != nil {
		return "", time.Time{}, outage.ErrNothingRecorded
	}
	for _, v := range inv.VMs {
		if v.ID == id {
			return v.State, inv.AsOf, nil
		}
	}
	return "", time.Time{}, outage.ErrNothingRecorded
}

// keepStates records the states that the API told, so that the record does not
// show the old ones until the next listing.
func (f *Fleet) keepStates(changes []StateChange) error {
	told := map[string]string{}
	for _, c := range changes {
		if c.State != "unknown" {
			told[c.VMID] = c.State
		}
	}
	if len(told) == 0 {
		return nil
	}
	return f.keys.UpdateInventory(func(vms []keystore.InventoryVM) {
		for i, v := range vms {
			vms[i].State = cmp.Or(told[v.ID], v.State)
		}
	})
}
