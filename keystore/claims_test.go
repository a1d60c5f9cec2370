package keystore

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// claim is one VM of a bundle, as somebody claims it to be.
func claim(t *testing.T, id, key string, change func(*Record)) bundleLine {
	t.Helper()
	r := Record{VMID: id, PublicKey: testPublic(t, testPEM(key)), FetchedAt: newClock().t}
	if change != nil {
		change(&r)
	}
	return bundleLine{VM: &bundleVM{Record: r, Key: string(testPEM(key))}}
}

// importClaims merges a bundle with these VMs and returns what was done.
func importClaims(t *testing.T, s *Store, vms ...bundleLine) Plan {
	t.Helper()
	lines := []any{bundleLine{Header: &bundleHeader{Format: bundleFormat, Version: 1}}}
	for _, vm := range vms {
		lines = append(lines, vm)
	}
	bundle, identity := hostileBundle(t, append(lines, bundleLine{End: &bundleEnd{VMs: len(vms)}})...)
	plan, err := s.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{IdentityFile: identity})
	must(t, err)
	return plan
}

func clocked(t *testing.T, clock *fixedClock) *Store {
	t.Helper()
	return openTest(t, filepath.Join(t.TempDir(), "p"), Options{ParseKey: testParse, Now: clock.now})
}

func login(t *testing.T, s *Store, id, key string) {
	t.Helper()
	must(t, s.Proved(id, testPublic(t, testPEM(key)), Endpoint{}, testHostKey("real"), true))
}

// TestClaimsNeverPushAKeyOut plays the attack: bundles that claim the newest
// logins, one after the other and three in one.
func TestClaimsNeverPushAKeyOut(t *testing.T) {
	id := testID(1)
	for name, prepare := range map[string]func(s *Store){
		"a key that logged in":            func(s *Store) { mustPut(t, s, id, testPEM("good")); login(t, s, id, "good") },
		"a key that the API gave":         func(s *Store) { mustPut(t, s, id, testPEM("good")) },
		"a claimed key that logged in":    func(s *Store) { importClaims(t, s, claim(t, id, "good", nil)); login(t, s, id, "good") },
		"a claimed key that the API gave": func(s *Store) { importClaims(t, s, claim(t, id, "good", nil)); mustPut(t, s, id, testPEM("good")) },
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			s := clocked(t, clock)
			prepare(s)
			for n := range 6 {
				clock.t = clock.t.Add(time.Hour)
				evil := func(k int) bundleLine {
					return claim(t, id, fmt.Sprint("evil", n, k), func(r *Record) { r.FetchedAt, r.ProvedAt = clock.t, clock.t })
				}
				plan := importClaims(t, s, evil(1), evil(2), evil(3))
				if got := actions(plan); got != "key:update key:refuse key:refuse" {
					t.Fatalf("import %d: %q", n, got)
				}
				wantKey(t, s, id, testPEM("good"))
				wantCandidates(t, s, id, testPEM("good"), testPEM(fmt.Sprint("evil", n, 1)))
			}
			login(t, s, id, "good")
			wantCandidates(t, s, id, testPEM("good"))
			wantClean(t, s.Dir())
		})
	}
}

// TestClaimThatLogsIn: a claimed key takes over by logging in, not before.
func TestClaimThatLogsIn(t *testing.T) {
	clock := newClock()
	s, id := clocked(t, clock), testID(1)
	mustPut(t, s, id, testPEM("old"))
	login(t, s, id, "old")
	clock.t = clock.t.Add(time.Hour)
	importClaims(t, s, claim(t, id, "new", func(r *Record) { r.ProvedAt = clock.t }))
	login(t, s, id, "new")
	wantCandidates(t, s, id, testPEM("new"), testPEM("old"))
	rec, err := s.Record(id)
	if err != nil || rec.Source != "import" || rec.ProvedAt.IsZero() || rec.HostKeys[0].Key != testHostKey("real") {
		t.Fatalf("%+v, %v", rec, err)
	}
	clock.t = clock.t.Add(time.Hour)
	login(t, s, id, "new")
	wantCandidates(t, s, id, testPEM("new"))
	wantClean(t, s.Dir())
}

// TestRefusedKeyGivesWay: once the VM has refused the key here, a claimed one
// is tried first, but the key that logged in is kept until that has, too.
func TestRefusedKeyGivesWay(t *testing.T) {
	clock := newClock()
	s, id := clocked(t, clock), testID(1)
	mustPut(t, s, id, testPEM("old"))
	login(t, s, id, "old")
	clock.t = clock.t.Add(time.Hour)
	must(t, s.UpdateRecord(id, func(r *Record) error { r.RefusedAt = clock.t; return nil }))
	for n := range 3 {
		clock.t = clock.t.Add(time.Hour)
		key := fmt.Sprint("claimed", n)
		importClaims(t, s, claim(t, id, key, func(r *Record) { r.ProvedAt = clock.t }))
		wantCandidates(t, s, id, testPEM(key), testPEM("old"))
	}
}

func TestClaimedFactsAreUnconfirmed(t *testing.T) {
	s, id := newTest(t), testID(1)
	importClaims(t, s, claim(t, id, "a", func(r *Record) {
		r.ProvedAt, r.RefusedAt = time.Now(), time.Now()
		r.HostKeys = []HostKey{{Key: testHostKey("a"), Confirmed: true}}
		r.HostNames = []string{"github.com", "marketing", id + ".vm.vers.sh"}
	}))
	rec, err := s.Record(id)
	if err != nil || !rec.ProvedAt.IsZero() || !rec.RefusedAt.IsZero() || rec.HostKeys[0].Confirmed || fmt.Sprint(rec.HostNames) != "["+id+".vm.vers.sh]" {
		t.Errorf("%+v, %v", rec, err)
	}
	must(t, s.PinHostKey(id, testHostKey("a"), true, nil))
	importClaims(t, s, claim(t, id, "a", func(r *Record) { r.HostKeys = []HostKey{{Key: testHostKey("b"), Confirmed: true}} }))
	if rec, err = s.Record(id); err != nil || len(rec.HostKeys) != 1 || !rec.HostKeys[0].Confirmed {
		t.Errorf("%+v, %v", rec, err)
	}
}

// TestEqualClaimsAreDecidedAlike: whatever order bundles come in, every machine
// ends with the same key, and of equally old inventories with the same one.
func TestEqualClaimsAreDecidedAlike(t *testing.T) {
	clock := newClock()
	claims := []bundleLine{claim(t, testID(1), "a", nil), claim(t, testID(1), "b", nil), claim(t, testID(1), "c", nil)}
	var key, state string
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		s := clocked(t, clock)
		for _, i := range order {
			importClaims(t, s, claims[i])
			from := clocked(t, clock)
			must(t, from.PutInventory(Inventory{AsOf: clock.t, VMs: []InventoryVM{{testID(1), VMFacts{State: fmt.Sprint(i)}}}}))
			bundle, identity := export(t, from, ExportOptions{})
			_, err := s.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{IdentityFile: identity})
			must(t, err)
		}
		rec, err := s.Record(testID(1))
		must(t, err)
		inv, err := s.Inventory()
		must(t, err)
		if key == "" {
			key, state = rec.PublicKey, inv.VMs[0].State
		}
		if rec.PublicKey != key || inv.VMs[0].State != state {
			t.Errorf("order %v ends with another key or inventory", order)
		}
	}
}

// TestWrongClocks: neither a bundle from the future nor a record that a wrong
// clock wrote wins for ever.
func TestWrongClocks(t *testing.T) {
	clock := newClock()
	s, id := clocked(t, clock), testID(1)
	importClaims(t, s, claim(t, id, "a", nil))
	future := func(key string) bundleLine {
		return claim(t, id, key, func(r *Record) { r.FetchedAt, r.ProvedAt = clock.t.AddDate(50, 0, 0), clock.t.AddDate(50, 0, 0) })
	}
	if got := actions(importClaims(t, s, future("b"))); got != "key:keep" {
		t.Errorf("from the future: %q", got)
	}
	clock.t = clock.t.AddDate(50, 0, 0)
	mustPut(t, s, testID(2), testPEM("a"))
	must(t, s.UpdateRecord(testID(2), func(r *Record) error { r.Source = sourceImport; return nil }))
	clock.t = newClock().t.Add(time.Hour) // set right again
	larger := "b"                         // both count as of now, and then the larger key wins
	for testPublic(t, testPEM(larger)) < testPublic(t, testPEM("a")) {
		larger += "b"
	}
	if got := actions(importClaims(t, s, claim(t, testID(2), larger, func(r *Record) { r.FetchedAt = clock.t.Add(maxSkew / 2) }))); got != "key:update" {
		t.Errorf("over a record from the future: %q", got)
	}
}

func TestRemovalOutlivesOldBundles(t *testing.T) {
	clock := newClock()
	s, id := clocked(t, clock), testID(1)
	mustPut(t, s, id, testPEM("a"))
	old := claim(t, id, "a", nil)
	clock.t = clock.t.Add(time.Hour)
	must(t, s.Remove(id))
	if got := actions(importClaims(t, s, old)); got != "key:keep" || s.HasKey(id) {
		t.Errorf("after its removal: %q", got)
	}
	if got := actions(importClaims(t, s, claim(t, testID(2), "a", nil))); got != "key:add" {
		t.Errorf("another VM: %q", got)
	}
	mustPut(t, s, id, testPEM("a")) // the API lists it again
	must(t, s.UpdateRecord(id, func(r *Record) error { r.GoneAt = clock.t; return nil }))
	clock.t = clock.t.Add(time.Hour)
	if removed, err := s.Prune(time.Minute); err != nil || len(removed) != 1 {
		t.Fatalf("%v, %v", removed, err)
	}
	if got := actions(importClaims(t, s, old)); got != "key:keep" {
		t.Errorf("after it was pruned: %q", got)
	}
	clock.t = clock.t.Add(time.Hour)
	if got := actions(importClaims(t, s, claim(t, id, "a", func(r *Record) { r.FetchedAt = clock.t }))); got != "key:add" {
		t.Errorf("seen after its removal: %q", got)
	}
	wantClean(t, s.Dir())
}

// TestClaimedInventoryRenamesNothing: a bundle's newer listing brings states
// and VMs, not other labels for a VM that the API told us of.
func TestClaimedInventoryRenamesNothing(t *testing.T) {
	clock := newClock()
	from, to := clocked(t, clock), clocked(t, clock)
	vm := func(n int, state, name string) InventoryVM {
		return InventoryVM{testID(n), VMFacts{State: state, Labels: map[string]string{"name": name}}}
	}
	must(t, to.PutInventory(Inventory{AsOf: clock.t, VMs: []InventoryVM{vm(1, "running", "marketing"), vm(2, "running", "dev")}}))
	clock.t = clock.t.Add(time.Hour)
	must(t, from.PutInventory(Inventory{AsOf: clock.t, VMs: []InventoryVM{vm(1, "paused", "dev"), vm(3, "running", "new")}}))
	bundle, identity := export(t, from, ExportOptions{})
	for _, want := range []string{"inventory:update", "inventory:same"} {
		plan, err := to.Import(t.Context(), bytes.NewReader(bundle), ImportOptions{IdentityFile: identity})
		if err != nil || actions(plan) != want {
			t.Errorf("%q, %v; want %q", actions(plan), err, want)
		}
	}
	inv, err := to.Inventory()
	want := []InventoryVM{vm(1, "paused", "marketing"), vm(2, "running", "dev"), vm(3, "running", "new")}
	if err != nil || !reflect.DeepEqual(inv.VMs, want) || !inv.AsOf.Equal(newClock().t) {
		t.Errorf("%+v, %v", inv, err)
	}
}
