package keystore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testPEM makes an ed25519 private key in the format of OpenSSH's
// PROTOCOL.key, always the same for the same name.
func testPEM(name string) []byte {
	seed := sha256.Sum256([]byte(name))
	private := ed25519.NewKeyFromSeed(seed[:])
	public := private.Public().(ed25519.PublicKey)
	str := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(p))), p...)
		}
		return out
	}
	blob := str([]byte("ssh-ed25519"), public)
	secret := []byte{1, 2, 3, 4, 1, 2, 3, 4}
	secret = append(secret, str([]byte("ssh-ed25519"), public, private, nil)...)
	for i := byte(1); len(secret)%8 != 0; i++ {
		secret = append(secret, i)
	}
	body := append([]byte("openssh-key-v1\x00"), str([]byte("none"), []byte("none"), nil)...)
	body = binary.BigEndian.AppendUint32(body, 1)
	body = append(body, str(blob, secret)...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: body})
}

// testParse is a strict ParseKey for keys of testPEM: the public half must
// follow from the private one.
func testParse(data []byte) (string, error) {
	bad := errors.New("not a key")
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 || block.Type != "OPENSSH PRIVATE KEY" {
		return "", bad
	}
	want := len(block.Bytes)
	const header = 15 + 8 + 8 + 4 + 4 // magic, none, none, no options, one key
	if want < header+4+51+4+8+15+4+32+4+64 {
		return "", bad
	}
	blob := block.Bytes[header+4 : header+4+51]
	at := header + 4 + 51 + 4 + 8 + 15 + 36 + 4
	private := ed25519.PrivateKey(block.Bytes[at : at+64])
	if !bytes.Equal(ed25519.NewKeyFromSeed(private.Seed()), private) || !bytes.Equal(blob[19:], private[32:]) {
		return "", bad
	}
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob), nil
}

func testPublic(t testing.TB, key []byte) string {
	t.Helper()
	public, err := testParse(key)
	if err != nil {
		t.Fatalf("test key: %v", err)
	}
	return public
}

func testID(n int) string { return fmt.Sprintf("c8f9cadc-4c58-4eab-a847-%012x", n) }

func testHostKey(name string) string {
	public, err := testParse(testPEM("host " + name))
	if err != nil {
		panic(err)
	}
	return public
}

// testOptions has keys derived in milliseconds instead of a second.
func testOptions() Options { return Options{ParseKey: testParse, ScryptWork: 10} }

func openTest(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	o.ParseKey, o.ScryptWork = testParse, testOptions().ScryptWork
	s, err := Open(dir, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func newTest(t testing.TB) *Store {
	t.Helper()
	return openTest(t, filepath.Join(t.TempDir(), "profile"), testOptions())
}

func mustPut(t testing.TB, s *Store, id string, key []byte) {
	t.Helper()
	if _, err := s.PutKey(id, key, KeyInfo{Source: "api", SSHPort: 2222}); err != nil {
		t.Fatalf("PutKey: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind Kind) {
	t.Helper()
	if KindOf(err) != kind {
		t.Fatalf("got error %v (kind %q), want kind %q", err, KindOf(err), kind)
	}
}

func wantKey(t testing.TB, s *Store, id string, want []byte) {
	t.Helper()
	got, err := s.key(id)
	if err != nil {
		t.Fatalf("Key(%s): %v", id, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Key(%s) is not the key that was put", id)
	}
}

// leftovers returns temporary files and markers below dir.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(info.Name(), tempPrefix) || filepath.Base(filepath.Dir(path)) == "pending" {
			found = append(found, path)
		}
		return nil
	})
	must(t, err)
	return found
}

// wantClean checks that nothing is left over and nothing was set aside.
func wantClean(t testing.TB, dir string) {
	t.Helper()
	if l := leftovers(t, dir); len(l) > 0 {
		t.Fatalf("leftovers: %v", l)
	}
	if d, err := os.ReadDir(filepath.Join(dir, "damaged")); err == nil && len(d) > 0 {
		t.Fatalf("set aside as damaged: %v", d)
	}
}

// torture picks the full count under VERS_FLEET_TORTURE=1.
func torture(small, full int) int {
	if os.Getenv("VERS_FLEET_TORTURE") == "1" {
		return full
	}
	return small
}

// fixedClock is a clock that the test moves.
type fixedClock struct{ t time.Time }

func (c *fixedClock) now() time.Time { return c.t }

func newClock() *fixedClock {
	return &fixedClock{time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)}
}
