package fleet

import (
	"context"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// KeyInfo is one recorded key as keys list shows it; the key itself is never
// part of it.
type KeyInfo struct {
	VMID        string        `json:"vm_id"`
	Name        string        `json:"name"`
	Fingerprint string        `json:"fingerprint,omitempty"`
	Source      string        `json:"key_source,omitempty"`
	FetchedAt   time.Time     `json:"fetched_at,omitzero"`
	ProvedAt    time.Time     `json:"proved_at,omitzero"`
	RefusedAt   time.Time     `json:"refused_at,omitzero"`
	HostKey     string        `json:"host_key,omitempty"` // fingerprint
	Confirmed   bool          `json:"host_key_confirmed"`
	GoneAt      time.Time     `json:"gone_at,omitzero"`
	Problem     string        `json:"problem,omitempty"`
	Path        string        `json:"path"`
	Cache       outage.Source `json:"source"`
	AsOf        time.Time     `json:"as_of"`
}

// Keys lists the recorded keys, by name.
func (f *Fleet) Keys() ([]KeyInfo, error) {
	vms, err := f.Inventory.Known()
	if err != nil {
		return nil, err
	}
	records, findings, err := f.keys.Records()
	if err != nil {
		return nil, problem.OfStorage("read the keystore", err)
	}
	byID := map[string]KeyInfo{}
	for _, r := range records {
		k := KeyInfo{VMID: r.VMID, Fingerprint: sshconn.Fingerprint(r.PublicKey), Source: r.Source, FetchedAt: r.FetchedAt,
			ProvedAt: r.ProvedAt, RefusedAt: r.RefusedAt, GoneAt: r.GoneAt}
		if len(r.HostKeys) > 0 {
			k.HostKey, k.Confirmed = sshconn.Fingerprint(r.HostKeys[0].Key), r.HostKeys[0].Confirmed
		}
		byID[r.VMID] = k
	}
	for _, p := range findings {
		k := byID[p.VMID]
		k.VMID, k.Problem = p.VMID, p.What
		byID[p.VMID] = k
	}
	out := []KeyInfo{}
	for _, vm := range vms {
		if k, ok := byID[vm.ID]; ok && (k.Fingerprint != "" || k.Problem != "") {
			k.Name, k.Path, k.Cache, k.AsOf = vm.Name, f.keys.KeyPath(vm.ID), outage.FromCache, f.o.Now().UTC()
			out = append(out, k)
		}
	}
	return out, nil
}

// Dir is the folder of the profile's state.
func (f *Fleet) Dir() string { return f.keys.Dir() }

// KeyPath is where the VM's private key is.
func (f *Fleet) KeyPath(ctx context.Context, name string) (string, error) {
	vm, err := f.Inventory.One(ctx, name)
	if err != nil {
		return "", err
	}
	if !f.keys.HasKey(vm.ID) {
		return "", &problem.Error{Kind: problem.NotFound, What: "no key of " + vm.Title() + " is recorded", Origin: problem.OriginLocal, Next: "vers-fleet keys sync"}
	}
	return f.keys.KeyPath(vm.ID), nil
}
