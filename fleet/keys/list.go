package keys

import (
	"context"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// Info is one recorded key as keys list shows it; the key itself is never
// part of it.
type Info struct {
	VMID        string             `json:"vm_id"`
	Name        string             `json:"name"`
	Fingerprint string             `json:"fingerprint,omitempty"`
	Key         inventory.KeyState `json:"key"`
	HostKey     string             `json:"host_key,omitempty"` // fingerprint
	Confirmed   bool               `json:"host_key_confirmed"`
	GoneAt      time.Time          `json:"gone_at,omitzero"`
	Path        string             `json:"path"`
	Cache       outage.Source      `json:"source"`
	AsOf        time.Time          `json:"as_of"`
}

// List lists the recorded keys, by name.
func (ks *Keys) List() ([]Info, error) {
	vms, err := ks.inv.Known()
	if err != nil {
		return nil, err
	}
	records, findings, err := ks.keys.Records()
	if err != nil {
		return nil, problem.OfStorage("read the keystore", err)
	}
	byID := map[string]Info{}
	for _, r := range records {
		k := Info{VMID: r.VMID, Fingerprint: sshconn.Fingerprint(r.PublicKey), GoneAt: r.GoneAt,
			Key: inventory.KeyState{Source: r.Source, FetchedAt: r.FetchedAt, ProvedAt: r.ProvedAt, RefusedAt: r.RefusedAt}}
		if len(r.HostKeys) > 0 {
			k.HostKey, k.Confirmed = sshconn.Fingerprint(r.HostKeys[0].Key), r.HostKeys[0].Confirmed
		}
		byID[r.VMID] = k
	}
	for _, p := range findings {
		k := byID[p.VMID]
		k.VMID, k.Key.Problem = p.VMID, p.What
		byID[p.VMID] = k
	}
	out := []Info{}
	for _, vm := range vms {
		if k, ok := byID[vm.ID]; ok && (k.Fingerprint != "" || k.Key.Problem != "") {
			k.Key.Recorded = ks.keys.HasKey(vm.ID)
			k.Name, k.Path, k.Cache, k.AsOf = vm.Name, ks.keys.KeyPath(vm.ID), outage.FromCache, ks.o.Now().UTC()
			out = append(out, k)
		}
	}
	return out, nil
}

// Dir is the folder of the profile's state.
func (ks *Keys) Dir() string { return ks.keys.Dir() }

// Path is where the VM's private key is.
func (ks *Keys) Path(ctx context.Context, name string) (string, error) {
	vm, err := ks.inv.One(ctx, name)
	if err != nil {
		return "", err
	}
	if !ks.keys.HasKey(vm.ID) {
		return "", &problem.Error{Kind: problem.NotFound, What: "no key of " + vm.Title() + " is recorded", Origin: problem.OriginLocal, Next: "vers-fleet keys sync"}
	}
	return ks.keys.KeyPath(vm.ID), nil
}
