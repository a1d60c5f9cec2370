package fleet

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// syncJobs bounds the keys fetched side by side: enough to hide the round
// trips, few enough not to be a burden on an API that is coming back.
const syncJobs = 8

// SyncReport says how fetching keys ended. It is one JSON value.
type SyncReport struct {
	VMs      int           `json:"vms"`       // VMs of the fleet
	Wanted   int           `json:"wanted"`    // of them without a recorded key before
	Fetched  int           `json:"fetched"`   // keys recorded now
	Changed  int           `json:"changed"`   // recorded keys that the API has replaced
	HostKeys int           `json:"host_keys"` // host keys pinned by a handshake
	Failed   []SyncFailure `json:"failed"`
	AsOf     time.Time     `json:"as_of"`
	Source   outage.Source `json:"source"`
}

// SyncFailure is one key that could not be fetched.
type SyncFailure struct {
	VMID string `json:"vm_id"`
	Name string `json:"name,omitempty"`
	Why  string `json:"why"`
}

// Progress reports how far work on many VMs has come.
type Progress struct {
	Done, Total int
	Current     string // name or id of the VM just finished
}

// syncer fetches keys side by side.
type syncer struct {
	f      *Fleet
	mu     sync.Mutex
	report SyncReport
	onDone func(Progress)
	done   int

	refused map[string]bool // ids whose key the API does not give
}

// syncKeys fetches the keys of the listed VMs that have none yet, or of all to
// learn of changed ones. It stops early when the API becomes unreachable, as
// every further call would wait for nothing. The error is of kind Storage: a
// key could not be recorded.
func (f *Fleet) syncKeys(ctx context.Context, vms []inventory.VM, all bool, onDone func(Progress)) (SyncReport, error) {
	s := &syncer{f: f, onDone: onDone, refused: map[string]bool{}}
	s.report = SyncReport{Failed: []SyncFailure{}, AsOf: f.o.Now().UTC(), Source: outage.FromAPI}
	var ids []string
	for _, vm := range vms {
		if vm.Source != outage.FromAPI { // the API knows of none
			continue
		}
		s.report.VMs++
		if vm.State == string(api.StateDead) {
			continue
		}
		missing := !f.keys.HasKey(vm.ID)
		if missing {
			s.report.Wanted++
		}
		if missing || all {
			ids = append(ids, vm.ID)
		}
	}
	if len(ids) == 0 {
		return s.report, nil
	}
	refusals := f.refusals()
	if !all {
		ids, s.report.Failed = refusals.putOff(ids, f.o.Now())
	}
	err := s.fetch(ctx, ids)
	f.noteRefusals(refusals, ids, s.refused)
	return s.report, err
}

func (s *syncer) fetch(parent context.Context, ids []string) error {
	group, ctx := errgroup.WithContext(parent)
	group.SetLimit(syncJobs)
	for _, id := range ids {
		group.Go(func() error {
			changed, err := s.f.fetchKey(ctx, id)
			return s.finished(id, changed, err, len(ids))
		})
	}
	err := group.Wait()
	if problem.KindOf(err) == problem.Unavailable || problem.KindOf(err) == problem.Interrupted && parent.Err() == nil {
		return nil // said in the report
	}
	return err
}

// finished counts one fetched key. An error that concerns all keys is returned
// and ends the sync.
func (s *syncer) finished(id string, changed bool, err error, total int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	if err == nil {
		s.report.Fetched++
		if changed {
			s.report.Changed++
		}
		if s.onDone != nil {
			s.onDone(Progress{Done: s.done, Total: total, Current: id})
		}
		return nil
	}
	s.report.Failed = append(s.report.Failed, SyncFailure{VMID: id, Why: problem.Why(err)})
	switch problem.KindOf(err) {
	case problem.Unavailable, problem.Storage, problem.Interrupted:
		return err
	case problem.Auth, problem.NotFound, problem.Refused:
		s.refused[id] = true
	}
	return nil // a 403 too: a listing may hold VMs of other owners
}

// fetchKey asks the API for one VM's key and records it with the VM's address.
// It tells whether the key differs from the one recorded before. When the key
// came but could not be recorded, the error is of kind Storage and the key is
// kept in memory.
func (f *Fleet) fetchKey(ctx context.Context, id string) (changed bool, err error) {
	had := f.keys.HasKey(id)
	answer, err := outage.Ask(ctx, f.API, outage.Call[api.SSHKey]{
		Mode: f.mode,
		What: "fetch the SSH key of " + id, Repeatable: true,
		Live: func(ctx context.Context, c *api.Client) (api.SSHKey, error) { return c.SSHKey(ctx, id) },
		Keep: func(k api.SSHKey) error {
			if err := f.API.Bind(); err != nil {
				return err
			}
			changed, err = f.keys.PutKey(id, k.PrivateKey, keystore.KeyInfo{Source: "api", SSHPort: k.Port})
			return err
		},
	})
	if err != nil {
		return false, err
	}
	if answer.Unsaved != nil {
		if problem.KindOf(answer.Unsaved) == problem.Storage { // not a key of another account
			f.unsaved.put(id, answer.Value.PrivateKey)
		}
		return false, answer.Unsaved
	}
	f.fetchAddress(ctx, id)
	return changed && had, nil
}

// fetchAddress records the VM's address inside the platform's network, which
// is a second way to it for machines there. Failing to is an early sign of an
// outage, and else only worth a line of detail.
func (f *Fleet) fetchAddress(ctx context.Context, id string) {
	client, err := f.API.Client()
	if err != nil {
		return
	}
	meta, err := outage.BestEffort(ctx, f.API, f.mode, f.API.BaseURL()+"/vm/metadata", func(ctx context.Context) (api.Metadata, error) {
		return client.Metadata(ctx, id)
	})
	f.API.Stumbled(err)
	if err != nil || !meta.IP.IsValid() {
		f.o.Logf("no address of %s is recorded: %v", id, err)
		return
	}
	err = f.keys.UpdateRecord(id, func(r *keystore.Record) error {
		r.IP = meta.IP.String()
		return nil
	})
	if err != nil {
		f.o.Logf("the address of %s could not be recorded: %v", id, err)
	}
}

// SyncOptions says what Sync does.
type SyncOptions struct {
	Refresh    bool // fetch the keys that are recorded already too
	NoHostKeys bool // do not ask the VMs for their host keys
	OnProgress func(Progress)
}

// Sync records the inventory and every key and host key that is missing. It
// makes one API call when nothing is missing. When what came cannot be
// recorded it stops there.
func (f *Fleet) Sync(ctx context.Context, o SyncOptions) (SyncReport, error) {
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
		return SyncReport{Failed: []SyncFailure{}}, err
	}
	vms := list.VMs
	report, err := f.syncKeys(ctx, vms, o.Refresh, o.OnProgress)
	if !o.NoHostKeys && err == nil {
		report.HostKeys, err = f.pinMissing(ctx, vms)
	}
	if err == nil && len(report.Failed) > 0 {
		err = &problem.Error{Kind: problem.Partial, What: "some keys could not be fetched", Why: report.Failed[0].Why, Origin: problem.OriginAPI,
			Next: "run it again; what was fetched is recorded", Retryable: true}
	}
	return report, err
}
