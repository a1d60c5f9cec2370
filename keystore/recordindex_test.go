//go:build unix

package keystore

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// indexed is a store of n VMs with an index of all of them, as a listing some
// time after recording leaves it.
func indexed(t *testing.T, n int) *Store {
	t.Helper()
	clock := newClock()
	clock.t = time.Now().Add(time.Hour)
	s := openTest(t, bigStore(t, n), Options{ParseKey: testParse, Now: clock.now, Warn: func(w string) { t.Errorf("said %q", w) }})
	for i := range 5 { // one with more to tell
		must(t, s.UpdateRecord(testID(i), func(r *Record) error {
			r.ProvedAt, r.RefusedAt = s.now(), s.now().Add(time.Minute)
			r.Endpoints = []Endpoint{{Network: "tls", Address: "a:443", WorkedAt: s.now()}}
			r.Source = "found:/x/" + testID(i)
			return nil
		}))
	}
	summaries(t, s)
	return s
}

func summaries(t *testing.T, s *Store) ([]Summary, []Finding) {
	t.Helper()
	ids, err := s.IDs()
	must(t, err)
	return s.Summaries(ids)
}

// truth is what the records themselves say.
func truth(t *testing.T, s *Store) []Summary {
	t.Helper()
	recs, _, err := s.Records()
	must(t, err)
	out := make([]Summary, len(recs))
	for i, r := range recs {
		out[i] = r.summary()
	}
	return out
}

func wantTruth(t *testing.T, s *Store) {
	t.Helper()
	got, findings := summaries(t, s)
	if len(findings) > 0 {
		t.Errorf("findings: %v", findings)
	}
	if want := truth(t, s); !slices.Equal(got, want) {
		t.Errorf("got %d summaries that differ from those of the %d records", len(got), len(want))
	}
}

func indexRows(t *testing.T, s *Store) int {
	t.Helper()
	ids, err := s.IDs()
	must(t, err)
	n := 0
	for _, stamp := range s.readIndex(ids).stamps {
		if stamp != (fileStamp{}) {
			n++
		}
	}
	return n
}

func TestIndexSaysWhatTheRecordsSay(t *testing.T) {
	s := indexed(t, 100)
	if n := indexRows(t, s); n != 100 {
		t.Fatalf("the index has %d of 100 VMs", n)
	}
	wantTruth(t, s)
}

// A row that has the record's stamp is what a listing shows: without that, the
// records were read again.
func TestIndexIsUsed(t *testing.T) {
	s := indexed(t, 100)
	ids, err := s.IDs()
	must(t, err)
	x := s.readIndex(ids)
	x.sums[7].Source = "the index"
	must(t, os.WriteFile(s.path(fileIndex), x.encode(), 0o600))
	got, _ := summaries(t, s)
	if got[7].Source != "the index" {
		t.Errorf("the record was read: %+v", got[7])
	}
}

// However the index is spoilt, a listing says what the records say, and nothing
// more than that.
func TestSpoiltIndexCountsAsNone(t *testing.T) {
	all := ways()
	all["another user's"] = func(path string) error { return os.Chown(path, 65534, 65534) }
	all["another version's"] = func(path string) error { return os.WriteFile(path, []byte("vers-fleet index of records 2\nx"), 0o600) }
	all["only begun"] = func(path string) error { return os.Truncate(path, int64(len(indexMagic))+40) }
	for way, spoil := range all {
		t.Run(way, func(t *testing.T) {
			if way == "another user's" && os.Geteuid() != 0 {
				t.Skip("only root gives files away")
			}
			s := indexed(t, 100)
			ids, err := s.IDs()
			must(t, err)
			good := s.readIndex(ids)
			good.sums[3].Source = "a lie" // told if the spoilt index is believed
			must(t, os.WriteFile(s.path(fileIndex), good.encode(), 0o600))
			must(t, spoil(s.path(fileIndex)))
			wantTruth(t, s)
			wantTruth(t, openTest(t, s.Dir(), s.o))
			if n := indexRows(t, s); n != 100 && way != "a folder" {
				t.Errorf("it was not written anew: %d rows", n)
			}
		})
	}
}

// No cut and no changed byte goes unnoticed.
func TestIndexIsReadWholeOrNotAtAll(t *testing.T) {
	s := indexed(t, 100)
	data, err := os.ReadFile(s.path(fileIndex))
	must(t, err)
	ids, err := s.IDs()
	must(t, err)
	into := &recordIndex{sums: make([]Summary, 100), stamps: make([]fileStamp, 100)}
	for n := range data {
		if into.decode(data[:n], ids) {
			t.Fatalf("%d bytes of %d are believed", n, len(data))
		}
		flipped := bytes.Clone(data)
		flipped[n] ^= 1 << rand.IntN(8)
		if into.decode(flipped, ids) {
			t.Fatalf("believed with byte %d changed", n)
		}
	}
}

func FuzzIndex(f *testing.F) {
	ids := []string{testID(0), testID(1)}
	f.Add((&recordIndex{stamps: []fileStamp{{1, 2, 3, 4}}, sums: []Summary{{VMID: testID(0), Source: "api", FetchedAt: time.Unix(5, 6).UTC()}}}).encode())
	f.Fuzz(func(_ *testing.T, body []byte) {
		(&recordIndex{sums: make([]Summary, 2), stamps: make([]fileStamp, 2)}).decode(body, ids)
		d := indexDecoder{rest: body}
		for len(d.rest) > 0 && !d.bad {
			d.vm()
		}
	})
}

// Whatever becomes of a record, the index that still speaks of the old one is
// not believed.
func TestChangedRecordIsReadAgain(t *testing.T) {
	id := testID(50)
	for name, change := range map[string]func(s *Store, folder string) error{
		"updated": func(s *Store, _ string) error {
			return s.UpdateRecord(id, func(r *Record) error { r.GoneAt = s.now(); return nil })
		},
		"removed":        func(s *Store, _ string) error { return s.Remove(id) },
		"folder removed": func(_ *Store, folder string) error { return os.RemoveAll(folder) },
		"replaced by one of the same size and time": func(s *Store, folder string) error {
			path := filepath.Join(folder, fileRecord)
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			rec, err := s.Record(id)
			if err != nil {
				return err
			}
			rec.Source = "ipa"
			data, err := encodeRecord(rec)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				return err
			}
			return os.Chtimes(path, info.ModTime(), info.ModTime())
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := indexed(t, 100)
			before := truth(t, s)
			must(t, change(s, s.path(vmDir(id))))
			wantTruth(t, s)
			if slices.Equal(before, truth(t, s)) {
				t.Error("nothing was changed")
			}
		})
	}
}

// A record that cannot be used is a finding with the index as without it.
func TestIndexHidesNoFinding(t *testing.T) {
	id := testID(50)
	for name, change := range map[string]func(folder string) error{
		"folder open to all":     func(folder string) error { return os.Chmod(folder, 0o777) },
		"record writable by all": func(folder string) error { return os.Chmod(filepath.Join(folder, fileRecord), 0o666) },
		"record is a link": func(folder string) error {
			path := filepath.Join(folder, fileRecord)
			if err := os.Rename(path, path+".x"); err != nil {
				return err
			}
			return os.Symlink(path+".x", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := indexed(t, 100)
			must(t, change(s.path(vmDir(id))))
			_, want, err := s.Records()
			must(t, err)
			got, findings := summaries(t, s)
			if len(want) != 1 || len(findings) != 1 || findings[0].What != want[0].What || len(got) != 99 {
				t.Errorf("%d summaries, %v; the records: %v", len(got), findings, want)
			}
		})
	}
}

// A record that was written just now may be written again within the grain of
// the kernel's time, and then look the same: it is not indexed yet.
func TestFreshRecordsAreNotIndexed(t *testing.T) {
	s := openTest(t, bigStore(t, 100), testOptions())
	s.clock = time.Now
	wantTruth(t, s)
	if _, err := os.Lstat(s.path(fileIndex)); !os.IsNotExist(err) {
		t.Errorf("there is an index: %v", err)
	}
}

// What is removed does not stay in the index.
func TestIndexForgetsRemovedVMs(t *testing.T) {
	s := indexed(t, 100)
	must(t, s.Remove(testID(3)))
	wantTruth(t, s)
	data, err := os.ReadFile(s.path(fileIndex))
	must(t, err)
	if bytes.Contains(data, []byte(testID(3))) || indexRows(t, s) != 99 {
		t.Errorf("the index has %d VMs, the removed one among them: %v", indexRows(t, s), bytes.Contains(data, []byte(testID(3))))
	}
}

// A listing waits for nobody who writes the index, and fails on no store that
// cannot be written.
func TestIndexWaitsForNobody(t *testing.T) {
	s := indexed(t, 100)
	must(t, os.Remove(s.path(fileIndex)))
	unlock, err := openTest(t, s.Dir(), s.o).lock(context.Background(), lockIndex, true)
	must(t, err)
	wantTruth(t, s)
	if _, err := os.Lstat(s.path(fileIndex)); !os.IsNotExist(err) {
		t.Errorf("it was written under another's lock: %v", err)
	}
	unlock()
	wantTruth(t, s)
	if n := indexRows(t, s); n != 100 {
		t.Errorf("%d rows", n)
	}
}

// The index holds nothing of keys, neither of plain nor of encrypted ones.
func TestIndexHoldsNoKeys(t *testing.T) {
	s := indexed(t, 100)
	data, err := os.ReadFile(s.path(fileIndex))
	must(t, err)
	rec, err := s.Record(testID(1))
	must(t, err)
	for _, secret := range []string{"PRIVATE", strings.Fields(rec.PublicKey)[1], rec.KeyFiles[0].Sum, testHostKey("shared")} {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("the index holds %q", secret)
		}
	}
	if info, err := os.Stat(s.path(fileIndex)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
