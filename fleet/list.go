package fleet

import (
	"context"
	"errors"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// ListOptions says how List asks, and who is told of the keys it fetched.
type ListOptions struct {
	inventory.ListOptions
	OnKeys func(keys.SyncReport) // told how fetching keys ended, when there was anything to fetch
}

// List is Inventory.List, after which the keys of VMs that have none yet are
// fetched, so that they are there before they are needed.
func (f *Fleet) List(ctx context.Context, o ListOptions) (inventory.Listing, error) {
	list, err := f.Inventory.List(ctx, o.ListOptions)
	if err != nil || list.Source != outage.FromAPI || list.Unsaved != nil {
		return list, err
	}
	report, err := f.Keys.Sync(ctx, o.Mode, list.VMs, false, nil)
	if o.OnKeys != nil && report.Wanted > 0 {
		o.OnKeys(report)
	}
	if report.Fetched > 0 && err == nil {
		err = f.Access.PinFresh(ctx, list.VMs)
	}
	if report.Fetched > 0 || list.KeysLeft() > report.Wanted { // another process may have fetched some meanwhile
		err = errors.Join(err, f.Inventory.ReadRecords(list.VMs))
	}
	list.Unsaved = err
	return list, nil
}

// list is List for the rooms.
func (f *Fleet) list(ctx context.Context, ask inventory.ListOptions) (inventory.Listing, error) {
	return f.List(ctx, ListOptions{ListOptions: ask})
}

// SyncOptions says what Sync does.
type SyncOptions struct {
	Refresh    bool // fetch the keys that are recorded already too
	NoHostKeys bool // do not ask the VMs for their host keys
	OnProgress func(keys.Progress)
}

// Sync records the inventory and every key and host key that is missing. It
// makes one API call when nothing is missing. When what came cannot be
// recorded it stops there.
func (f *Fleet) Sync(ctx context.Context, o SyncOptions) (keys.SyncReport, error) {
	list, err := f.Inventory.List(ctx, inventory.ListOptions{})
	if err == nil && list.Source == outage.FromCache {
		err = list.Outage
		if list.Outage == nil {
			err = outage.OfflineError("fetch keys")
		}
	}
	if err == nil {
		err = list.Unsaved
	}
	if err != nil {
		return keys.SyncReport{Failed: []keys.SyncFailure{}}, err
	}
	vms := list.VMs
	report, err := f.Keys.Sync(ctx, outage.AsAsked, vms, o.Refresh, o.OnProgress)
	if !o.NoHostKeys && err == nil {
		report.HostKeys, err = f.Access.PinMissing(ctx, vms)
	}
	if err == nil && len(report.Failed) > 0 {
		err = &problem.Error{Kind: problem.Partial, What: "some keys could not be fetched", Why: report.Failed[0].Why, Origin: problem.OriginAPI,
			Next: "run it again; what was fetched is recorded", Retryable: true}
	}
	return report, err
}

// recordNow lists the VMs and fetches missing keys without waiting for the API.
func (f *Fleet) recordNow(ctx context.Context) error {
	_, err := f.List(ctx, ListOptions{ListOptions: inventory.ListOptions{Mode: outage.Live}})
	return err
}
