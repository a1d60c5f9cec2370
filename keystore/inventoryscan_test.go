package keystore

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// scannedInventory has what names and labels may be.
func scannedInventory() Inventory {
	at := time.Date(2026, 2, 24, 3, 20, 0, 123456789, time.UTC)
	return Inventory{Version: inventoryVersion, AsOf: at, VMs: []InventoryVM{
		{ID: testID(0), VMFacts: VMFacts{State: "running", CreatedAt: at.Truncate(time.Second), OwnerID: "o", Labels: map[string]string{"name": "a", "role": "b"}}},
		{ID: testID(1)},
		{ID: testID(2), VMFacts: VMFacts{State: "paused", Labels: map[string]string{`"\<>&` + "\n\x01\u2028\U0001f600é": `\"}]`, "": ""}}},
		{ID: testID(3), VMFacts: VMFacts{CreatedAt: at.In(time.FixedZone("", 3600))}},
	}}
}

// What PutInventory writes is never left to the slow way.
func TestInventoryIsScanned(t *testing.T) {
	for _, inv := range []Inventory{scannedInventory(), {Version: 1, VMs: []InventoryVM{}}} {
		data, err := json.Marshal(inv)
		must(t, err)
		got, ok := scanInventory(string(data))
		var want Inventory
		must(t, json.Unmarshal(data, &want))
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %v %+v\nwant %+v", data, ok, got, want)
		}
	}
}

// What is scanned is what encoding/json reads; all else is declined.
func FuzzInventory(f *testing.F) {
	data, err := json.Marshal(scannedInventory())
	must(f, err)
	f.Add(data)
	for _, seed := range []string{
		`{"version":1,"as_of":"2026-02-24T03:20:00Z","vms":[]}`, `{"version":1,"as_of":"2026-02-24T3:20:00Z","vms":[]}`,
		`{"version":1,"as_of":"2026-02-24T03:20:00Z","vms":[{"id":"\ud800","state":""}]}`, `{"version":2}`, `{"version":1,"as_of":"x`, ``,
		`{"version":1,"as_of":"2026-02-24T03:20:00Z","vms":[{"id":"` + "\xff" + `","state":"","labels":{"a":"b","a":"c"}}]}`,
		`{"version":1,"as_of":"2026-02-24T03:20:00Z","vms":[]} `, `{"version":1,"as_of":"2026-02-24T03:20:00Z","vms":[{"id":"a\"","state":"\\"},]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := scanInventory(string(data))
		if !ok {
			return
		}
		var want Inventory
		if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v, %v", data, got, want, err)
		}
	})
}
