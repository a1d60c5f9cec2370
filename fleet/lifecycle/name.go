package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// MaxCount is how many VMs one request makes at most, as the platform has it.
const MaxCount = 100

// Made is a VM that was made. The JSON names are stable.
type Made struct {
	VMID string `json:"vm_id"`
	Name string `json:"name,omitempty"`
}

// names are what count new VMs are to be called: NAME, or NAME-1 and so on. Each
// is checked, against what was listed last, before anything is made.
func (l *Lifecycle) names(name string, count int) ([]string, error) {
	known, err := l.o.Inventory.Known()
	if err == nil {
		err = l.o.Inventory.ReadRecords(known)
	}
	if err != nil {
		return nil, err
	}
	if count < 1 || count > MaxCount {
		return nil, &problem.Error{Kind: problem.Usage, What: fmt.Sprintf("%d VMs cannot be made at once", count), Origin: problem.OriginLocal,
			Next: fmt.Sprintf("ask for 1 to %d", MaxCount)}
	}
	out := make([]string, count)
	for i := range out {
		if out[i] = name; name == "" {
			continue
		}
		if count > 1 {
			out[i] = fmt.Sprintf("%s-%d", name, i+1)
		}
		clean, err := inventory.FreeName(known, out[i])
		if err != nil {
			return nil, err
		}
		out[i] = clean
	}
	return out, nil
}

// name gives a new VM its name: a label where the API takes one, so that
// everybody sees it, and an alias otherwise. The labels that the VM has stay.
func (l *Lifecycle) name(ctx context.Context, vm Made) error {
	if vm.Name == "" {
		return nil
	}
	_, refused := outage.Ask(ctx, l.o.API, outage.Call[struct{}]{
		What: "name " + vm.VMID, Repeatable: true, Acts: true,
		Live: func(ctx context.Context, c *api.Client) (none struct{}, err error) {
			now, err := c.Status(ctx, vm.VMID)
			if err != nil {
				return none, err
			}
			labels := maps.Clone(now.Labels)
			if labels == nil {
				labels = map[string]string{}
			}
			labels["name"] = vm.Name
			return none, c.SetLabels(ctx, vm.VMID, labels)
		},
	})
	aliases, err := l.o.Inventory.Aliases()
	if err != nil {
		return err
	}
	bearsAlias := slices.ContainsFunc(aliases, func(a inventory.Alias) bool { return a.Alias == vm.Name })
	if refused == nil && !bearsAlias {
		return nil
	}
	// An alias of that name is of a VM that is gone, and would hide this one.
	_, err = l.o.Inventory.SetAlias(ctx, vm.Name, inventory.VM{ID: vm.VMID}, true)
	if refused != nil && err == nil {
		l.o.Warn(fmt.Sprintf("%s is called %s on this machine only, by an alias: %s", vm.VMID, vm.Name, problem.Why(refused)))
	}
	return err
}
