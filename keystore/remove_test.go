package keystore

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestTombstones(t *testing.T) {
	clock := newClock()
	s := openTest(t, filepath.Join(t.TempDir(), "p"), Options{ParseKey: testParse, Now: clock.now})
	must(t, s.MarkGone(nil, clock.t)) // an empty store
	fleetOf(t, s, 3)
	gone := func() (ids []string) {
		recs, findings, err := s.Records()
		if err != nil || len(findings) > 0 {
			t.Fatalf("%v, %v", findings, err)
		}
		for _, r := range recs {
			if !r.GoneAt.IsZero() {
				ids = append(ids, r.VMID)
			}
		}
		return ids
	}
	want := func(ids ...string) {
		t.Helper()
		if got := gone(); !slices.Equal(got, ids) {
			t.Fatalf("gone %v, want %v", got, ids)
		}
		wantFleet(t, s, 3) // a tombstone never costs a key
	}
	all := []string{testID(0), testID(1), testID(2), testID(9)}
	must(t, s.MarkGone(all, clock.t))
	want()
	must(t, s.MarkGone(all[1:], clock.t))
	want(testID(0))
	clock.t = clock.t.Add(time.Hour)
	must(t, s.MarkGone(all[:1], clock.t))
	want(testID(1), testID(2))
	must(t, s.MarkGone(nil, clock.t))
	want(testID(0), testID(1), testID(2))
	must(t, s.MarkGone(all, clock.t))
	want()
	must(t, s.MarkGone(all[2:], clock.t))
	mustPut(t, s, testID(0), testPEM(testID(0))) // seen again
	want(testID(1))
	must(t, s.MarkGone(all[2:], clock.t))
	removed, err := s.Prune(time.Hour)
	if err != nil || len(removed) != 0 {
		t.Fatalf("pruned %v, %v", removed, err)
	}
	clock.t = clock.t.Add(2 * time.Hour)
	removed, err = s.Prune(time.Hour)
	if err != nil || !slices.Contains(removed, testID(1)) || slices.Contains(removed, testID(2)) {
		t.Fatalf("pruned %v, %v", removed, err)
	}
	wantKey(t, s, testID(2), testPEM(testID(2)))
	_, err = s.key(testID(1))
	wantKind(t, err, KindNotFound)
}

func TestRemove(t *testing.T) {
	s := newTest(t)
	fleetOf(t, s, 2)
	must(t, s.Remove(testID(0)))
	wantKind(t, s.Remove(testID(0)), KindNotFound)
	if s.HasKey(testID(0)) {
		t.Fatal("still there")
	}
	wantKey(t, s, testID(1), testPEM(testID(1)))
	if entries, _ := os.ReadDir(s.path("keys")); len(entries) != 1 {
		t.Fatalf("left: %v", entries)
	}
	wantClean(t, s.Dir())
}

func TestBindEndpoint(t *testing.T) {
	s := newTest(t)
	const a, b = "https://api.vers.ai", "https://api.vers.sh/api/v1"
	must(t, s.BindEndpoint(b, ""))
	must(t, s.BindEndpoint(a, "")) // no keys yet
	mustPut(t, s, testID(1), testPEM("a"))
	must(t, s.BindEndpoint(a, "owner"))
	must(t, s.BindEndpoint(a, ""))
	wantKind(t, s.BindEndpoint(b, "owner"), KindMismatch)
	wantKind(t, s.BindEndpoint(a, "somebody"), KindMismatch)
	must(t, s.Remove(testID(1)))
	must(t, s.BindEndpoint(a, "somebody"))
}

func TestCheck(t *testing.T) {
	clock := newClock()
	s := openTest(t, filepath.Join(t.TempDir(), "p"), Options{ParseKey: testParse, Now: clock.now})
	if findings, err := s.Check(); err != nil || len(findings) != 0 {
		t.Fatalf("empty store: %v, %v", findings, err)
	}
	id := testID(1)
	mustPut(t, s, id, testPEM("a"))
	must(t, s.Proved(id, testPublic(t, testPEM("a")), Endpoint{}, testHostKey("a"), true))
	if findings, err := s.Check(); err != nil || len(findings) != 0 {
		t.Fatalf("good store: %v, %v", findings, err)
	}
	clock.t = clock.t.Add(40 * 24 * time.Hour)
	mustPut(t, s, testID(2), testPEM("b"))
	must(t, s.UpdateRecord(testID(3), func(*Record) error { return nil }))
	must(t, os.WriteFile(s.path(vmDir(id), "id.old"), nil, 0o600))
	must(t, os.Mkdir(s.path("keys", "junk"), 0o700))
	must(t, os.WriteFile(s.path("inventory.json"), []byte("{"), 0o600))
	mustPut(t, s, testID(4), testPEM("d"))
	must(t, os.WriteFile(s.KeyPath(testID(4)), nil, 0o600))
	mustPut(t, s, testID(5), testPEM("e"))
	must(t, os.Chmod(s.KeyPath(testID(5)), 0o640))
	findings, err := s.Check()
	must(t, err)
	wants := []string{"last verified", "never verified", "no host key is pinned", "no key is recorded", "does not belong here", "not a VM", "read inventory", "has been set aside", "were set aside: id"}
	if runtimeChecksModes {
		wants = append(wants, "group or others")
	}
	for _, want := range wants {
		if !slices.ContainsFunc(findings, func(f Finding) bool { return hasFinding([]Finding{f}, f.Kind, want) }) {
			t.Errorf("nothing says %q in %+v", want, findings)
		}
	}
	for i, f := range findings[1:] {
		if f.Severity == SeverityError && findings[i].Severity != SeverityError {
			t.Fatal("errors do not come first")
		}
	}
}
