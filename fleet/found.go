package fleet

import (
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// findKeys looks for keys that other Vers clients left on this machine.
func (f *Fleet) findKeys() ([]keystore.AdoptableKey, error) {
	known, err := f.Inventory.Known()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(known))
	for i, vm := range known {
		ids[i] = vm.ID
	}
	return f.keys.Adoptable(keystore.AdoptOptions{TempDirs: f.o.TempDirs, KnownIDs: ids}), nil
}

// foundKeys counts the keys that could be adopted.
func (f *Fleet) foundKeys() int {
	found, err := f.findKeys()
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

// FoundKey is a key of another client and what became of it.
type FoundKey struct {
	keystore.AdoptableKey
	Name    string `json:"name,omitempty"`
	Adopted bool   `json:"adopted"`
}

// ImportFound records the keys that other Vers clients left on this machine,
// as unproven until a login with them has worked. What another user could have
// planted is refused, with the reason.
func (f *Fleet) ImportFound(dryRun bool) ([]FoundKey, error) {
	found, err := f.findKeys()
	if err != nil {
		return nil, err
	}
	var adopted []string
	if !dryRun {
		if adopted, err = f.keys.Adopt(found); err != nil {
			return nil, problem.OfStorage("record the found keys", err)
		}
	}
	known, err := f.Inventory.Known()
	if err != nil {
		return nil, err
	}
	out := make([]FoundKey, 0, len(found))
	for _, k := range found {
		one := FoundKey{AdoptableKey: k}
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
