package keystore

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKeyComesBack(t *testing.T) {
	s := newTest(t)
	id := testID(1)
	if _, err := os.Lstat(s.Dir()); err == nil {
		t.Fatal("Open created the folder before the first write")
	}
	_, err := s.key(id)
	wantKind(t, err, KindNotFound)
	if s.HasKey(id) {
		t.Fatal("HasKey before the key was put")
	}
	changed, err := s.PutKey(id, testPEM("a"), KeyInfo{Source: "api", SSHPort: 22})
	if err != nil || !changed {
		t.Fatalf("PutKey = %v, %v", changed, err)
	}
	for _, s := range []*Store{s, openTest(t, s.Dir(), testOptions())} {
		wantKey(t, s, id, testPEM("a"))
		rec, err := s.Record(id)
		must(t, err)
		if rec.Source != "api" || rec.SSHPort != 22 || rec.FetchedAt.IsZero() || !rec.ProvedAt.IsZero() || rec.PublicKey != testPublic(t, testPEM("a")) {
			t.Fatalf("record %+v", rec)
		}
	}
	data, err := os.ReadFile(s.KeyPath(id))
	must(t, err)
	if string(data) != string(testPEM("a")) {
		t.Fatal("the file is not usable with ssh -i")
	}
	wantClean(t, s.Dir())
}

func TestSameKeyIsNotWrittenAgain(t *testing.T) {
	clock := newClock()
	s := openTest(t, filepath.Join(t.TempDir(), "p"), Options{ParseKey: testParse, Now: clock.now})
	id := testID(1)
	mustPut(t, s, id, testPEM("a"))
	path := s.path(vmDir(id), fileRecord)
	before, err := os.Stat(path)
	must(t, err)
	clock.t = clock.t.Add(time.Minute)
	mustPut(t, s, id, testPEM("a"))
	after, err := os.Stat(path)
	must(t, err)
	if !os.SameFile(before, after) {
		t.Fatal("the record was rewritten although nothing was new")
	}
	clock.t = clock.t.Add(time.Hour)
	changed, err := s.PutKey(id, testPEM("a"), KeyInfo{Source: "api"})
	rec, rerr := s.Record(id)
	if err != nil || rerr != nil || changed || !rec.FetchedAt.Equal(clock.t) {
		t.Fatalf("changed %v, %v, %v, fetched at %v", changed, err, rerr, rec.FetchedAt)
	}
}

func TestPredecessorIsKeptUntilTheNewKeyWorked(t *testing.T) {
	s := newTest(t)
	id := testID(1)
	a, b, c := testPEM("a"), testPEM("b"), testPEM("c")
	mustPut(t, s, id, a)
	must(t, s.Proved(id, testPublic(t, a), Endpoint{}, "", true))
	mustPut(t, s, id, b)
	wantCandidates(t, s, id, b, a)
	mustPut(t, s, id, c) // b never worked: a stays the predecessor
	wantCandidates(t, s, id, c, a)
	must(t, s.Proved(id, testPublic(t, a), Endpoint{}, "", true))
	wantCandidates(t, s, id, c, a)
	must(t, s.Proved(id, testPublic(t, c), Endpoint{}, "", true))
	wantCandidates(t, s, id, c)
	if _, err := os.Lstat(s.path(vmDir(id), filePrev)); err == nil {
		t.Fatal("the predecessor's file is still there")
	}
	mustPut(t, s, id, a)
	mustPut(t, s, id, c) // back again: known to work before
	rec, err := s.Record(id)
	must(t, err)
	if rec.ProvedAt.IsZero() {
		t.Fatal("a key that came back lost its proof")
	}
	wantClean(t, s.Dir())
}

func wantCandidates(t *testing.T, s *Store, id string, want ...[]byte) {
	t.Helper()
	for _, s := range []*Store{s, openTest(t, s.Dir(), testOptions())} {
		got, err := s.Candidates(id)
		must(t, err)
		if len(got) != len(want) {
			t.Fatalf("%d candidates, want %d", len(got), len(want))
		}
		for i := range got {
			if string(got[i]) != string(want[i]) {
				t.Fatalf("candidate %d is another key", i)
			}
		}
	}
}

func TestRefusedArguments(t *testing.T) {
	s := newTest(t)
	for _, id := range []string{"", "..", "../../x", strings.ToUpper(testID(0xabc)), testID(1) + "/x", testID(1)[:35] + "\x00"} {
		_, err := s.PutKey(id, testPEM("a"), KeyInfo{})
		wantKind(t, err, KindInvalid)
		_, err = s.key(id)
		wantKind(t, err, KindInvalid)
		_, err = s.Record(id)
		wantKind(t, err, KindInvalid)
		wantKind(t, s.Remove(id), KindInvalid)
		wantKind(t, s.PinHostKey(id, testHostKey("x"), true, nil), KindInvalid)
		if s.KeyPath(id) != "" || s.HasKey(id) {
			t.Fatalf("id %q became a path", id)
		}
	}
	for _, key := range []string{"", "<html>", "ssh-ed25519 AAAA", strings.Repeat("x", 1<<20)} {
		_, err := s.PutKey(testID(1), []byte(key), KeyInfo{})
		wantKind(t, err, KindInvalid)
	}
	if _, err := os.Lstat(s.Dir()); err == nil {
		t.Fatal("refused input created the store")
	}
}

func TestPrivateKeyDoesNotShowItself(t *testing.T) {
	s := newTest(t)
	mustPut(t, s, testID(1), testPEM("canary"))
	key, err := s.key(testID(1))
	must(t, err)
	js, err := json.Marshal(map[string]any{"k": key})
	must(t, err)
	found := s.Adoptable(AdoptOptions{})
	text := fmt.Sprintf("%v %s %x %q %+v %#v %d %s %+v", key, key, key, key, key, key, key, js, found)
	for _, part := range canaryParts("canary") {
		if strings.Contains(text, part) {
			t.Fatalf("the key shows in %s", text)
		}
	}
}

// canaryParts are pieces of a test key's secret part as they might show up.
func canaryParts(name string) []string {
	lines := strings.Split(string(testPEM(name)), "\n")
	return []string{lines[2], lines[3], fmt.Sprintf("%x", lines[2][:20]), fmt.Sprint([]byte(lines[2])[:10])}
}

func TestUpdateRecordProtectsWhatIsNotTheCallers(t *testing.T) {
	s := newTest(t)
	id := testID(1)
	mustPut(t, s, id, testPEM("a"))
	err := s.UpdateRecord(id, func(r *Record) error {
		r.VMID, r.PublicKey, r.KeyFiles, r.Version = testID(2), "ssh-ed25519 AAAA", nil, 9
		r.IP = "fd00::1"
		return nil
	})
	must(t, err)
	rec, err := s.Record(id)
	must(t, err)
	if rec.VMID != id || rec.PublicKey != testPublic(t, testPEM("a")) || rec.IP != "fd00::1" || rec.Version != recordVersion {
		t.Fatalf("record %+v", rec)
	}
	wantKey(t, s, id, testPEM("a"))
}

func TestProvedWritesOnlyNews(t *testing.T) {
	clock := newClock()
	s := openTest(t, filepath.Join(t.TempDir(), "p"), Options{ParseKey: testParse, Now: clock.now})
	id, pub := testID(1), testPublic(t, testPEM("a"))
	mustPut(t, s, id, testPEM("a"))
	e := Endpoint{Network: "tls", Address: id + ".vm.vers.sh:443", IPs: []string{"192.0.2.1"}}
	must(t, s.Proved(id, pub, e, testHostKey("h"), true))
	first, err := os.Stat(s.path(vmDir(id), fileRecord))
	must(t, err)
	clock.t = clock.t.Add(5 * time.Minute)
	must(t, s.Proved(id, pub, e, testHostKey("h"), true))
	second, err := os.Stat(s.path(vmDir(id), fileRecord))
	must(t, err)
	if !os.SameFile(first, second) {
		t.Fatal("rewritten although nothing was new")
	}
	must(t, s.Proved(id, pub, Endpoint{Network: "tcp", Address: "192.0.2.1:22"}, testHostKey("h"), true))
	rec, err := s.Record(id)
	must(t, err)
	if len(rec.Endpoints) != 2 || rec.Endpoints[0].Network != "tcp" || !rec.HostKeys[0].Confirmed || !rec.ProvedAt.Equal(clock.t) {
		t.Fatalf("record %+v", rec)
	}
	wantKind(t, s.Proved(testID(2), pub, e, "", true), KindNotFound)
}
