package keystore

import (
	"context"
	"encoding/json"
	"time"
)

// inventoryVersion is the version of inventory.json this package writes.
const inventoryVersion = 1

// Inventory is the fleet as the API last listed it.
type Inventory struct {
	Version int           `json:"version"`
	AsOf    time.Time     `json:"as_of"`
	VMs     []InventoryVM `json:"vms"`
}

// InventoryVM is one VM of the listing.
type InventoryVM struct {
	ID string `json:"id"`
	VMFacts
}

// VMFacts are what the API says of a VM beside its id. They are the same on
// disk and in every listing, so a new one is named here and nowhere above.
type VMFacts struct {
	State     string            `json:"state"`
	CreatedAt time.Time         `json:"created_at,omitzero"`
	OwnerID   string            `json:"owner_id,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Inventory reads the last inventory. KindNotFound if there never was one,
// KindDamaged if it cannot be read; a newer version's is read as far as it is
// understood.
func (s *Store) Inventory() (Inventory, error) {
	path := s.path(s.doc("inventory").rel)
	text, err := readText("read inventory", path, maxDoc)
	if err != nil {
		return Inventory{}, err
	}
	return decodeInventory(path, text)
}

func decodeInventory(path, text string) (Inventory, error) {
	if inv, ok := scanInventory(text); ok {
		return inv, nil
	}
	var inv Inventory
	err := json.Unmarshal([]byte(text), &inv)
	if inv.Version > inventoryVersion {
		return inv, nil
	}
	if err != nil || inv.Version < 1 {
		return Inventory{}, &Error{Kind: KindDamaged, Op: "read inventory", Path: path, Why: "it is not what was written"}
	}
	return inv, nil
}

// UpdateInventory changes what is recorded of VMs, under the lock that
// PutInventory takes, too; its age stays. Without an inventory, or with one
// that cannot be read or that a newer version wrote, it does nothing.
func (s *Store) UpdateInventory(change func([]InventoryVM)) error {
	return s.doc("inventory").Update(context.Background(), func(old []byte) ([]byte, error) {
		inv, err := decodeInventory("", string(old))
		if old == nil || err != nil || inv.Version > inventoryVersion {
			return nil, nil
		}
		change(inv.VMs)
		return json.Marshal(inv)
	})
}

// PutInventory replaces the inventory. A listing that is older than the one on
// disk, because its answer came late, changes nothing.
func (s *Store) PutInventory(inv Inventory) error {
	d := s.doc("inventory")
	return d.Update(context.Background(), func(old []byte) ([]byte, error) {
		if before, err := decodeInventory("", string(old)); old != nil && err == nil {
			if before.Version > inventoryVersion {
				return nil, newer(s.path(d.rel))
			}
			if before.AsOf.After(inv.AsOf) && !before.AsOf.After(s.clock()) {
				return nil, nil
			}
		}
		inv.Version, inv.AsOf = inventoryVersion, inv.AsOf.UTC()
		if inv.VMs == nil {
			inv.VMs = []InventoryVM{}
		}
		return json.Marshal(inv)
	})
}

// binding is endpoint.json: whose keys the profile holds.
type binding struct {
	APIURL  string `json:"api_url"`
	OwnerID string `json:"owner_id,omitempty"`
	Sum     string `json:"sum,omitempty"` // of the two, lest a flipped bit passes for another account
}

func (b binding) sum() string { return sha([]byte(b.APIURL + "\n" + b.OwnerID)) }

// BindEndpoint remembers which endpoint and account the profile belongs to.
// When it already holds keys of another one it returns KindMismatch, so that
// two accounts never mix; without keys it is bound anew. An empty ownerID
// means that the account is not known. When nothing changes it only reads.
func (s *Store) BindEndpoint(apiURL, ownerID string) error {
	d := s.doc("endpoint")
	data, err := d.Read()
	if err != nil && !IsNotFound(err) && !unusable(err) {
		return err
	}
	if _, changed := bindTo(data, apiURL, ownerID); err == nil && !changed {
		return nil
	}
	return d.Update(context.Background(), func(old []byte) ([]byte, error) {
		next, changed := bindTo(old, apiURL, ownerID)
		if !changed {
			return nil, nil
		}
		if before, ok := parseBinding(old); ok && before.conflicts(apiURL, ownerID) {
			ids, err := s.IDs()
			if err != nil {
				return nil, err
			}
			if len(ids) > 0 {
				return nil, s.bound(before, apiURL)
			}
		}
		next.Sum = next.sum()
		return json.Marshal(next)
	})
}

// Endpoint is the API URL that the profile belongs to, "" while it belongs to
// none.
func (s *Store) Endpoint() string {
	data, _ := s.doc("endpoint").Read() // what cannot be read binds to nothing
	b, _ := parseBinding(data)
	return b.APIURL
}

// parseBinding reads a binding; what is not what was written binds to nothing.
func parseBinding(data []byte) (b binding, ok bool) {
	if data == nil || json.Unmarshal(data, &b) != nil || b.Sum != "" && b.Sum != b.sum() {
		return binding{}, false
	}
	b.Sum = ""
	return b, b.APIURL != ""
}

func (b binding) conflicts(apiURL, ownerID string) bool {
	return b.APIURL != apiURL || b.OwnerID != "" && ownerID != "" && b.OwnerID != ownerID
}

// bindTo returns the binding that old becomes.
func bindTo(old []byte, apiURL, ownerID string) (next binding, changed bool) {
	before, ok := parseBinding(old)
	next = binding{APIURL: apiURL, OwnerID: ownerID}
	if ok && !before.conflicts(apiURL, ownerID) && ownerID == "" {
		next.OwnerID = before.OwnerID
	}
	return next, !ok || next != before
}

func (s *Store) bound(b binding, apiURL string) error {
	why := "the profile holds keys of " + b.APIURL
	if b.APIURL == apiURL {
		why += ", account " + b.OwnerID
	}
	return &Error{
		Kind: KindMismatch, Op: "use profile", Path: s.dir,
		Why: why + "; use a profile of its own for " + apiURL + " (--profile NAME)",
	}
}
