package fleet

import (
	"context"
	"errors"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
)

// ListOptions says how List asks, and who is told of the keys it fetched.
type ListOptions struct {
	inventory.ListOptions
	OnKeys func(SyncReport) // told how fetching keys ended, when there was anything to fetch
}

// List is Inventory.List, after which the keys of VMs that have none yet are
// fetched, so that they are there before they are needed.
func (f *Fleet) List(ctx context.Context, o ListOptions) (inventory.Listing, error) {
	list, err := f.Inventory.List(ctx, o.ListOptions)
	if err != nil || list.Source != outage.FromAPI || list.Unsaved != nil {
		return list, err
	}
	report, err := f.syncKeys(ctx, list.VMs, false, nil)
	if o.OnKeys != nil && report.Wanted > 0 {
		o.OnKeys(report)
	}
	if report.Fetched > 0 {
		if err == nil {
			err = f.pinFresh(ctx, list.VMs)
		}
		err = errors.Join(err, f.Inventory.ReadRecords(list.VMs))
	}
	list.Unsaved = err
	return list, nil
}
