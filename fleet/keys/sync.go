package keys

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// SyncJobs bounds the keys fetched side by side: enough to hide the round
// trips, few enough not to be a burden on an API that is coming back.
const SyncJobs = 8

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
	keys   *Keys
	mode   outage.Mode
	mu     sync.Mutex
	report SyncReport
	onDone func(Progress)
	done   int

	addresses bool            // ask for addresses too
	refused   map[string]bool // ids whose key the API does not give
}

// addressMost is for how many VMs at once their addresses are asked for beside
// their keys: nothing depends on an address, and asking for thousands would double
// what a first sync costs. A full refresh asks for all.
const addressMost = 16

// Sync fetches the keys of the listed VMs that have none yet, or of all to
// learn of changed ones. It stops early when the API becomes unreachable, as
// every further call would wait for nothing. The error is of kind Storage: a
// key could not be recorded.
func (ks *Keys) Sync(ctx context.Context, m outage.Mode, vms []inventory.VM, all bool, onDone func(Progress)) (SyncReport, error) {
	s := &syncer{keys: ks, mode: m, onDone: onDone, refused: map[string]bool{}}
	s.report = SyncReport{Failed: []SyncFailure{}, AsOf: ks.o.Now().UTC(), Source: outage.FromAPI}
	var ids []string
	for _, vm := range vms {
		if vm.Source != outage.FromAPI { // the API knows of none
			continue
		}
		s.report.VMs++
		if vm.State == string(api.StateDead) {
			continue
		}
		missing := !ks.keys.HasKey(vm.ID)
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
	refusals := ks.refusals()
	if !all {
		ids, s.report.Failed = refusals.putOff(ids, ks.o.Now())
	}
	s.addresses = all || len(ids) <= addressMost
	err := s.fetch(ctx, ids)
	ks.noteRefusals(refusals, ids, s.refused)
	return s.report, err
}

func (s *syncer) fetch(parent context.Context, ids []string) error {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	problem.Each(len(ids), SyncJobs, func(n int) {
		changed, err := s.keys.fetchKey(ctx, s.mode, ids[n])
		if err == nil && s.addresses {
			s.keys.fetchAddress(ctx, s.mode, ids[n])
		}
		if err := s.finished(ids[n], changed, err, len(ids)); err != nil {
			stop(err)
		}
	})
	err := context.Cause(ctx)
	if parent.Err() == nil && (problem.KindOf(err) == problem.Unavailable || problem.KindOf(err) == problem.Interrupted) {
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

// fetchKey asks the API for one VM's key and records it.
// It tells whether the key differs from the one recorded before. When the key
// came but could not be recorded, the error is of kind Storage and the key is
// kept in memory.
func (ks *Keys) fetchKey(ctx context.Context, m outage.Mode, id string) (changed bool, err error) {
	had := ks.keys.HasKey(id)
	answer, err := outage.Ask(ctx, ks.api, outage.Call[api.SSHKey]{
		Mode: m, What: "fetch the SSH key of " + id, Repeatable: true,
		Live: func(ctx context.Context, c *api.Client) (api.SSHKey, error) { return c.SSHKey(ctx, id) },
		Keep: func(k api.SSHKey) error {
			if err := ks.api.Bind(); err != nil {
				return err
			}
			changed, err = ks.keys.PutKey(id, k.PrivateKey, keystore.KeyInfo{Source: "api", SSHPort: k.Port})
			return err
		},
	})
	if err != nil {
		return false, err
	}
	if answer.Unsaved != nil {
		if problem.KindOf(answer.Unsaved) == problem.Storage { // not a key of another account
			ks.memory.put(id, answer.Value.PrivateKey)
		}
		return false, unusable(id, answer.Unsaved)
	}
	return changed && had, nil
}

// unusable is err, or what it means if the API gave what is no key for a login.
// Nobody is asked for a passphrase: it would be wanted again in the outage, and
// by every command that runs unattended.
func unusable(id string, err error) error {
	e := &problem.Error{Kind: problem.LoginRefused, What: "cannot use the key of " + id, Origin: problem.OriginAPI, Err: err}
	switch {
	case errors.Is(err, sshconn.ErrKeyEncrypted):
		e.Why = "the key that the API gives is protected by a passphrase, which is of no use to a program that runs unattended"
		e.Next = "have the platform give the VM a key without one, or look for another client's: vers-fleet keys import --found"
	case errors.Is(err, sshconn.ErrKeyDamaged):
		e.Why = "what the API gives is no private key that this program can use"
		e.Next = "look for another client's key of the VM: vers-fleet keys import --found"
	default:
		return err
	}
	return e
}

// fetchAddress records the VM's address inside the platform's network, which
// is a second way to it for machines there. Failing to is an early sign of an
// outage, and else only worth a line of detail.
func (ks *Keys) fetchAddress(ctx context.Context, m outage.Mode, id string) {
	client, err := ks.api.Client()
	if err != nil {
		return
	}
	meta, err := outage.BestEffort(ctx, ks.api, m, ks.api.BaseURL()+"/vm/metadata", func(ctx context.Context) (api.Metadata, error) {
		return client.Metadata(ctx, id)
	})
	ks.api.Stumbled(err)
	if err != nil || !meta.IP.IsValid() {
		ks.o.Logf("no address of %s is recorded: %v", id, err)
		return
	}
	err = ks.keys.UpdateRecord(id, func(r *keystore.Record) error {
		r.IP = meta.IP.String()
		return nil
	})
	if err != nil {
		ks.o.Logf("the address of %s could not be recorded: %v", id, err)
	}
}
