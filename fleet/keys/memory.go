package keys

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// memoryKeys holds keys that the API gave but the disk would not take, for
// as long as the process lives. They are never written anywhere.
type memoryKeys struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (u *memoryKeys) put(id string, pem []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys == nil {
		u.keys = map[string][]byte{}
	}
	u.keys[id] = slices.Clone(pem)
}

func (u *memoryKeys) get(id string) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.keys[id])
}

// Has reports whether a login can be tried without asking the API.
func (ks *Keys) Has(id string) bool { return ks.keys.HasKey(id) || ks.memory.get(id) != nil }

// Candidates returns the keys to try: the recorded ones, then one that could
// not be recorded.
func (ks *Keys) Candidates(id string) ([][]byte, error) {
	keys, err := ks.keys.Candidates(id)
	if pem := ks.memory.get(id); pem != nil {
		return append(keys, pem), nil
	}
	return keys, err
}

// Obtain is fetchKey for a login that needs the key now: a disk that will
// not take it must not cost the connection, so that is only a warning.
func (ks *Keys) Obtain(ctx context.Context, m outage.Mode, vm inventory.VM) (changed bool, err error) {
	changed, err = ks.fetchKey(ctx, m, vm.ID)
	if err == nil {
		ks.fetchAddress(ctx, m, vm.ID)
	}
	pem := ks.memory.get(vm.ID)
	if err == nil || problem.KindOf(err) != problem.Storage || pem == nil {
		return changed, err
	}
	ks.o.Warn("the key of " + vm.Title() + " could not be recorded, so an outage would lock you out: " + problem.Why(err))
	known, _ := ks.keys.Candidates(vm.ID)
	return !slices.ContainsFunc(known, func(k []byte) bool { return bytes.Equal(k, pem) }), nil
}

// IsLost reports that a key was recorded but is of no use any more.
func IsLost(err error) bool {
	k := keystore.KindOf(err)
	return k == keystore.KindDamaged || k == keystore.KindNotFound
}
