package keystore

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damageCase is a store with two VMs; the first one's file gets damaged.
type damageCase struct {
	dir   string
	files map[string][]byte // of the first VM
}

func newDamageCase(t *testing.T) damageCase {
	t.Helper()
	s := newTest(t)
	for i := range 2 {
		mustPut(t, s, testID(i), testPEM(testID(i)))
		must(t, s.PinHostKey(testID(i), testHostKey(testID(i)), true, []string{testID(i) + ".vm.vers.sh"}))
	}
	d := damageCase{dir: s.Dir(), files: map[string][]byte{}}
	for _, name := range []string{fileKey, fileRecord} {
		data, err := os.ReadFile(s.path(vmDir(testID(0)), name))
		must(t, err)
		d.files[name] = data
	}
	return d
}

// damage writes content in place of name, and the other file as it was.
func (d damageCase) damage(t *testing.T, name string, content []byte) *Store {
	t.Helper()
	for n, data := range d.files {
		if n == name {
			data = content
		}
		must(t, os.WriteFile(filepath.Join(d.dir, vmDir(testID(0)), n), data, 0o600))
	}
	must(t, os.RemoveAll(filepath.Join(d.dir, "damaged")))
	return openTest(t, d.dir, testOptions())
}

// judge checks that whatever happened to name, no wrong key is ever used, the
// damage is noticed, and the other VM is not affected.
func (d damageCase) judge(t *testing.T, s *Store, name, what string) {
	t.Helper()
	right := testPEM(testID(0))
	key, err := s.key(testID(0))
	switch {
	case err == nil && !bytes.Equal(key, right):
		t.Fatalf("%s: a wrong key was returned", what)
	case name == fileKey && KindOf(err) != KindDamaged:
		t.Fatalf("%s: got %v, want it to be noticed", what, err)
	case name == fileRecord && err != nil:
		t.Fatalf("%s: the intact key is lost: %v", what, err)
	}
	moved, _ := filepath.Glob(filepath.Join(d.dir, "damaged", testID(0)+"-*", name))
	if len(moved) != 1 {
		t.Fatalf("%s: %s was not set aside: %v", what, name, moved)
	}
	if name == fileRecord {
		rec, err := s.Record(testID(0))
		if err != nil || len(rec.HostKeys) != 1 || rec.HostKeys[0].Key != testHostKey(testID(0)) || !rec.ProvedAt.IsZero() {
			t.Fatalf("%s: rebuilt record %+v, %v", what, rec, err)
		}
	}
	wantKey(t, s, testID(1), testPEM(testID(1)))
}

func TestEveryFlippedByte(t *testing.T) {
	d := newDamageCase(t)
	masks := []byte{0x01, 0x20, 0x80}
	step := torture(23, 1)
	for name, data := range d.files {
		for i := 0; i < len(data); i += step {
			for _, m := range masks {
				bad := bytes.Clone(data)
				bad[i] ^= m
				if name == fileRecord && harmless(data, bad) {
					continue
				}
				d.judge(t, d.damage(t, name, bad), name, name+" flipped")
			}
		}
	}
}

// harmless tells whether a changed record still says the very same: white
// space outside the checked part, or the case of a field name of the envelope.
func harmless(data, bad []byte) bool {
	rec, err := decodeRecord(testID(0), "", bad)
	if err != nil {
		return false
	}
	want, err := decodeRecord(testID(0), "", data)
	a, _ := encodeRecord(rec)
	b, _ := encodeRecord(want)
	return err == nil && bytes.Equal(a, b)
}

func TestEveryTruncation(t *testing.T) {
	d := newDamageCase(t)
	step := torture(29, 1)
	for name, data := range d.files {
		for i := 0; i < len(data); i += step {
			if name == fileRecord && harmless(data, data[:i]) {
				continue // the newline at the end
			}
			d.judge(t, d.damage(t, name, data[:i]), name, name+" truncated")
		}
	}
}

func TestDamagedKeyFallsBackToItsPredecessor(t *testing.T) {
	s := newTest(t)
	id := testID(1)
	mustPut(t, s, id, testPEM("a"))
	mustPut(t, s, id, testPEM("b"))
	must(t, os.WriteFile(s.KeyPath(id), []byte("garbage"), 0o600))
	wantKey(t, s, id, testPEM("a"))
	wantKey(t, openTest(t, s.Dir(), testOptions()), id, testPEM("a"))
	data, err := os.ReadFile(s.KeyPath(id))
	must(t, err)
	if !bytes.Equal(data, testPEM("a")) {
		t.Fatal("the predecessor was not put back under its name")
	}
	findings, err := s.Check()
	must(t, err)
	if !hasFinding(findings, KindDamaged, "set aside: id") {
		t.Fatalf("findings %+v", findings)
	}
	mustPut(t, s, id, testPEM("b")) // the API still has it
	wantKey(t, s, id, testPEM("b"))
}

func hasFinding(all []Finding, kind Kind, part string) bool {
	for _, f := range all {
		if f.Kind == kind && strings.Contains(f.What, part) {
			return true
		}
	}
	return false
}

func TestForeignRecordIsSetAside(t *testing.T) {
	d := newDamageCase(t)
	other, err := os.ReadFile(filepath.Join(d.dir, vmDir(testID(1)), fileRecord))
	must(t, err)
	d.judge(t, d.damage(t, fileRecord, other), fileRecord, "another VM's record")
	otherKey, err := os.ReadFile(filepath.Join(d.dir, vmDir(testID(1)), fileKey))
	must(t, err)
	d.judge(t, d.damage(t, fileKey, otherKey), fileKey, "another VM's key")
}

func TestNewerRecordIsReadAndNeverRewritten(t *testing.T) {
	s := newTest(t)
	id := testID(1)
	mustPut(t, s, id, testPEM("a"))
	path := s.path(vmDir(id), fileRecord)
	data, err := os.ReadFile(path)
	must(t, err)
	body := bytes.TrimSuffix(data[bytes.Index(data, []byte(`"record":`))+9:], []byte("}\n"))
	body = append(bytes.TrimSuffix(body, []byte("}")), `,"host_keys":{"new":"shape"},"more":[1]}`...)
	next := append([]byte(`{"version":7,"sum":"`+recordSum(7, body)+`","record":`), append(body, "}\n"...)...)
	must(t, os.WriteFile(path, next, 0o600))

	wantKey(t, s, id, testPEM("a"))
	rec, err := s.Record(id)
	if err != nil || rec.Version != 7 || rec.SSHPort != 2222 {
		t.Fatalf("record %+v, %v", rec, err)
	}
	_, err = s.PutKey(id, testPEM("b"), KeyInfo{Source: "api"})
	wantKind(t, err, KindNewerVersion)
	wantKind(t, s.PinHostKey(id, testHostKey("x"), true, nil), KindNewerVersion)
	wantKind(t, s.Remove(id), KindNewerVersion)
	_, err = s.Check()
	must(t, err)
	if now, _ := os.ReadFile(path); !bytes.Equal(now, next) {
		t.Fatal("the newer record was rewritten")
	}
	must(t, os.WriteFile(s.path(fileConfig), []byte(`{"version":9,"mode":"quantum"}`), 0o600))
	_, err = s.PutKey(testID(2), testPEM("b"), KeyInfo{Source: "api"})
	wantKind(t, err, KindNewerVersion)
	wantKey(t, s, id, testPEM("a"))
}
