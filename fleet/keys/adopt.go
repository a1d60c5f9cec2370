package keys

import (
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// findKeys looks for keys that other Vers clients left on this machine.
func (ks *Keys) findKeys() ([]keystore.AdoptableKey, error) {
	known, err := ks.inv.Known()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(known))
	for i, vm := range known {
		ids[i] = vm.ID
	}
	return ks.keys.Adoptable(keystore.AdoptOptions{TempDirs: ks.o.TempDirs, KnownIDs: ids}), nil
}

// Adoptable counts the keys that could be adopted.
func (ks *Keys) Adoptable() int {
	found, err := ks.findKeys()
	if err != nil {
		return 0
	}
	n := 0
	for _, k := range found {
		if k.Refused == "" && !k.Recorded {
			n++
		}
	}
	return n
}

// AdoptableKey is a key of another client and what became of it.
type AdoptableKey struct {
	keystore.AdoptableKey
	Name    string `json:"name,omitempty"`
	Adopted bool   `json:"adopted"`
}

// Adopt records the keys that other Vers clients left on this machine,
// as unproven until a login with them has worked. What another user could have
// planted is refused, with the reason.
func (ks *Keys) Adopt(dryRun bool) ([]AdoptableKey, error) {
	found, err := ks.findKeys()
	if err != nil {
		return nil, err
	}
	var adopted []string
	if !dryRun {
		if adopted, err = ks.keys.Adopt(found); err != nil {
			return nil, problem.OfStorage("record the found keys", err)
		}
	}
	known, err := ks.inv.Known()
	if err != nil {
		return nil, err
	}
	out := make([]AdoptableKey, 0, len(found))
	for _, k := range found {
		one := AdoptableKey{AdoptableKey: k}
		for _, id := range adopted {
			one.Adopted = one.Adopted || id == k.VMID
		}
		for _, vm := range known {
			if vm.ID == k.VMID {
				one.Name = vm.Name
			}
		}
		out = append(out, one)
	}
	return out, nil
}
