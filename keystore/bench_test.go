package keystore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// bigStore writes n VMs as PutKey would, without syncing each.
func bigStore(tb testing.TB, n int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "profile")
	s := openTest(tb, dir, testOptions())
	mustPut(tb, s, testID(0), testPEM(testID(0)))
	inv := Inventory{AsOf: time.Now()}
	for i := range n {
		key := testPEM(testID(i))
		rec := Record{VMID: testID(i), PublicKey: testPublic(tb, key), Source: "api", FetchedAt: s.now(),
			HostKeys: []HostKey{{Key: testHostKey("shared")}}, KeyFiles: []FileRef{{Name: fileKey, Sum: sha(key)}}}
		data, err := encodeRecord(rec)
		must(tb, err)
		must(tb, os.MkdirAll(s.path(vmDir(testID(i))), 0o700))
		must(tb, os.WriteFile(s.path(vmDir(testID(i)), fileKey), key, 0o600))
		must(tb, os.WriteFile(s.path(vmDir(testID(i)), fileRecord), data, 0o600))
		inv.VMs = append(inv.VMs, InventoryVM{ID: testID(i), VMFacts: VMFacts{State: "running", Labels: map[string]string{"name": fmt.Sprint("vm", i)}}})
	}
	must(tb, s.PutInventory(inv))
	return dir
}

func benchSizes(b *testing.B, run func(b *testing.B, dir string, n int)) {
	for _, n := range []int{10, 100, 1000, 10000} {
		dir := bigStore(b, n) // once, not for every b.N that is tried
		b.Run(fmt.Sprint(n), func(b *testing.B) { run(b, dir, n) })
	}
}

// BenchmarkKeyLookup is what `ssh VM` needs: open the store, find one key.
func BenchmarkKeyLookup(b *testing.B) {
	benchSizes(b, func(b *testing.B, dir string, n int) {
		for i := range b.N {
			s := openTest(b, dir, testOptions())
			if _, err := s.key(testID(i * 7919 % n)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkInventory is what `vms --offline` needs at least.
func BenchmarkInventory(b *testing.B) {
	benchSizes(b, func(b *testing.B, dir string, n int) {
		for range b.N {
			if inv, err := openTest(b, dir, testOptions()).Inventory(); err != nil || len(inv.VMs) != n {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRecords reads the whole fleet's records.
func BenchmarkRecords(b *testing.B) {
	benchSizes(b, func(b *testing.B, dir string, n int) {
		for range b.N {
			if recs, _, err := openTest(b, dir, testOptions()).Records(); err != nil || len(recs) != n {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMarkGone is what every `vms` adds when nothing changed.
func BenchmarkMarkGone(b *testing.B) {
	benchSizes(b, func(b *testing.B, dir string, _ int) {
		s := openTest(b, dir, testOptions())
		ids, err := s.IDs()
		must(b, err)
		for range b.N {
			must(b, s.MarkGone(ids, time.Now()))
		}
	})
}

// BenchmarkPutKey writes one key durably.
func BenchmarkPutKey(b *testing.B) {
	benchSizes(b, func(b *testing.B, dir string, n int) {
		s := openTest(b, dir, testOptions())
		for i := range b.N {
			mustPut(b, s, testID(n+i), testPEM(testID(n+i)))
		}
	})
}

// BenchmarkProved is what every login adds when nothing is new.
func BenchmarkProved(b *testing.B) {
	benchSizes(b, func(b *testing.B, dir string, _ int) {
		s := openTest(b, dir, testOptions())
		public := testPublic(b, testPEM(testID(0)))
		for range b.N {
			must(b, s.Proved(testID(0), public, Endpoint{Network: "tls", Address: "a:443"}, testHostKey("shared"), true))
		}
	})
}

func TestLookupDoesNotScanTheFleet(t *testing.T) {
	dir := bigStore(t, 3)
	// With keys/ searchable but not listable, only direct opens work.
	if os.Geteuid() == 0 || !runtimeChecksModes {
		t.Skip("root may list every folder")
	}
	must(t, os.Chmod(filepath.Join(dir, "keys"), 0o100))
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "keys"), 0o700) })
	wantKey(t, openTest(t, dir, testOptions()), testID(2), testPEM(testID(2)))
}
