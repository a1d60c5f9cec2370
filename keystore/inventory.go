package keystore

import (
	"context"
	"encoding/json"
	"time"
)

// InventoryVersion is the version of inventory.json this package writes.
const InventoryVersion = 1

// Inventory is the fleet as the API last listed it.
type Inventory struct {
	Version int           `json:"version"`
	AsOf    time.Time     `json:"as_of"`
	VMs     []InventoryVM `json:"vms"`
}

// InventoryVM is one VM of the listing.
type InventoryVM struct {
	ID        string            `json:"id"`
	OwnerID   string            `json:"owner_id,omitempty"`
	State     string            `json:"state,omitempty"`
	CreatedAt time.Time         `json:"created_at,omitzero"`
	Labels    map[string]string `json:"labels,omitempty"`
	Names     []string          `json:"names,omitempty"`
}

// Inventory reads the last inventory. KindNotFound if there never was one,
// KindDamaged if it cannot be read; a newer version's is read as far as it is
// understood.
func (s *Store) Inventory() (Inventory, error) {
	d := s.doc("inventory")
	data, err := d.Read()
	if err != nil {
		return Inventory{}, err
	}
	return decodeInventory(s.path(d.rel), data)
}

func decodeInventory(path string, data []byte) (Inventory, error) {
	var inv Inventory
	err := json.Unmarshal(data, &inv)
	if inv.Version > InventoryVersion {
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
		inv, err := decodeInventory("", old)
		if old == nil || err != nil || inv.Version > InventoryVersion {
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
		if before, err := decodeInventory("", old); old != nil && err == nil {
			if before.Version > InventoryVersion {
				return nil, newer(s.path(d.rel))
			}
			if before.AsOf.After(inv.AsOf) && !before.AsOf.After(s.clock()) {
				return nil, nil
			}
		}
		inv.Version, inv.AsOf = InventoryVersion, inv.AsOf.UTC()
		if inv.VMs == nil {
			inv.VMs = []InventoryVM{}
		}
		return json.Marshal(inv)
	})
}
