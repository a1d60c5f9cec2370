package fleet

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// unsavedKeys holds keys that the API gave but the disk would not take, for
// as long as the process lives. They are never written anywhere.
type unsavedKeys struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (u *unsavedKeys) put(id string, pem []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys == nil {
		u.keys = map[string][]byte{}
	}
	u.keys[id] = slices.Clone(pem)
}

func (u *unsavedKeys) get(id string) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.keys[id])
}

// hasKey reports whether a login can be tried without asking the API.
func (f *Fleet) hasKey(id string) bool { return f.keys.HasKey(id) || f.unsaved.get(id) != nil }

// candidates returns the keys to try: the recorded ones, then one that could
// not be recorded.
func (f *Fleet) candidates(id string) ([][]byte, error) {
	keys, err := f.keys.Candidates(id)
	if pem := f.unsaved.get(id); pem != nil {
		return append(keys, pem), nil
	}
	return keys, err
}

// obtainKey is fetchKey for a login that needs the key now: a disk that will
// not take it must not cost the connection, so that is only a warning.
func (f *Fleet) obtainKey(ctx context.Context, vm inventory.VM) (changed bool, err error) {
	changed, err = f.fetchKey(ctx, vm.ID)
	pem := f.unsaved.get(vm.ID)
	if err == nil || problem.KindOf(err) != problem.Storage || pem == nil {
		return changed, err
	}
	f.o.Warn("the key of " + vm.Title() + " could not be recorded, so an outage would lock you out: " + problem.Why(err))
	known, _ := f.keys.Candidates(vm.ID)
	return !slices.ContainsFunc(known, func(k []byte) bool { return bytes.Equal(k, pem) }), nil
}

// isLost reports that a key was recorded but is of no use any more.
func isLost(err error) bool {
	k := keystore.KindOf(err)
	return k == keystore.KindDamaged || k == keystore.KindNotFound
}
