package keystore

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func FuzzRecord(f *testing.F) {
	good, err := encodeRecord(Record{VMID: testID(1), PublicKey: "ssh-ed25519 AAAA", KeyFiles: []FileRef{{Name: "id", Sum: "x"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":2,"sum":"md5:x","record":{"vm_id":"` + testID(1) + `","key_files":[{"name":"../../x"}]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newTest(t)
		id := testID(1)
		mustPut(t, s, id, testPEM("a"))
		must(t, os.WriteFile(s.path(vmDir(id), fileRecord), data, 0o600))
		for range 2 {
			if key, err := s.key(id); err == nil && !bytes.Equal(key, testPEM("a")) {
				t.Fatal("a wrong key was returned")
			}
			s.Record(id)
			s.Check()
		}
	})
}

// FuzzAPIKey puts whatever an API might answer in place of a key: what is
// recorded already is never lost to it.
func FuzzAPIKey(f *testing.F) {
	for _, seed := range []string{"", "503 Service Unavailable", "<html></html>", string(testPEM("a"))[:100], `{"error":"x"}`, strings.Repeat("A", 1<<17)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		s := newTest(t)
		mustPut(t, s, testID(1), testPEM("a"))
		s.PutKey(testID(1), answer, KeyInfo{Source: "api"})
		if c, err := s.Candidates(testID(1)); err != nil || !bytes.Equal(c[len(c)-1], testPEM("a")) {
			t.Fatalf("the recorded key is lost: %v", err)
		}
	})
}

// TestCanary makes everything fail that can and looks for the key in what is
// said about it.
func TestCanary(t *testing.T) {
	var said strings.Builder
	o := testOptions()
	o.Warn = func(text string) { said.WriteString(text + "\n") }
	note := func(_ any, err error) {
		if err != nil {
			said.WriteString(err.Error() + "\n")
		}
	}
	s := openTest(t, newTest(t).Dir(), o)
	id, key := testID(1), testPEM("canary")
	mustPut(t, s, id, key)
	note(s.PutKey(id, append([]byte("x"), key...), KeyInfo{}))
	note(s.PutKey(id, bytes.Repeat(key, 500), KeyInfo{}))
	must(t, os.WriteFile(s.path(vmDir(id), fileRecord), key, 0o600))
	note(s.Record(id))
	must(t, os.WriteFile(s.KeyPath(id), key[:200], 0o600))
	note(s.key(id))
	must(t, os.WriteFile(s.path(fileConfig), key, 0o600))
	note(s.PutKey(id, testPEM("other"), KeyInfo{}))
	must(t, os.WriteFile(s.path("inventory.json"), key, 0o600))
	note(s.Inventory())
	findings, err := s.Check()
	note(nil, err)
	for _, f := range findings {
		said.WriteString(f.What + f.Next + f.Path + "\n")
	}
	if said.Len() < 200 {
		t.Fatalf("too little failed: %s", said.String())
	}
	for _, part := range canaryParts("canary") {
		if strings.Contains(said.String(), part) {
			t.Fatalf("the key shows in: %s", said.String())
		}
	}
}
