package keys

import (
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Options is what Keys are made of. All fields but Confirm are required.
type Options struct {
	API       *outage.API
	Inventory *inventory.Inventory
	Store     *keystore.Store
	TempDirs  []string // where other clients leave keys
	Keyring   bool     // the operating system's keyring unlocks the store
	Now       func() time.Time
	Warn      func(string)
	Logf      func(string, ...any)
	Confirm   func(question string) error // asks before something is lost; nil refuses
	OnRemove  func(vmID string)           // told of each key that was removed
}

// Keys are a profile's keys. Their methods may be called concurrently.
type Keys struct {
	o      Options
	api    *outage.API
	inv    *inventory.Inventory
	keys   *keystore.Store
	memory *memoryKeys
}

// New makes Keys. It reads nothing.
func New(o Options) *Keys {
	return &Keys{o: o, api: o.API, inv: o.Inventory, keys: o.Store, memory: &memoryKeys{}}
}
