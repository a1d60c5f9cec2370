package sshconn

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

func TestParseKey(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		private, public, err := sshd.NewKey(kind, "c")
		if err != nil {
			t.Fatal(err)
		}
		for name, form := range map[string][]byte{
			"plain": private, "CRLF": bytes.ReplaceAll(private, []byte("\n"), []byte("\r\n")),
			"no newline": bytes.TrimSpace(private), "spaces": append([]byte("\n\n"), private...),
		} {
			if got, err := ParseKey(form); err != nil || got != public {
				t.Errorf("%s %s: %q %v", kind, name, got, err)
			}
		}
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(ed25519.NewKeyFromSeed(make([]byte, 32)), "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseKey(pem.EncodeToMemory(block)); !errors.Is(err, ErrKeyEncrypted) {
		t.Error(err)
	}
	for _, damaged := range []string{"", "x", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", string(make([]byte, 1<<20))} {
		if _, err := ParseKey([]byte(damaged)); !errors.Is(err, ErrKeyDamaged) {
			t.Error(err)
		}
	}
}

// A key whose private half was damaged on the way must not pass for the one
// whose public half it still shows.
func TestParseKeyComparesTheHalves(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	block.Bytes[bytes.Index(block.Bytes, key.Seed())] ^= 1
	if public, err := ParseKey(pem.EncodeToMemory(block)); !errors.Is(err, ErrKeyDamaged) {
		t.Errorf("got %s, %v", public, err)
	}
}

func TestFingerprint(t *testing.T) {
	// From `ssh-keygen -lf` on this key.
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl comment"
	if got := Fingerprint(key); !strings.HasPrefix(got, "SHA256:") || got != Fingerprint(strings.TrimSuffix(key, " comment")) {
		t.Error(got)
	}
	if got := Fingerprint("nonsense"); got != "" {
		t.Error(got)
	}
}

func TestNoSecretsInErrors(t *testing.T) {
	key := testKey(t)
	body := strings.Split(string(key), "\n")[1]
	broken := bytes.Replace(key, []byte("OPENSSH"), []byte("OTHER"), 2)
	if _, err := ParseKey(broken); err == nil || strings.Contains(err.Error(), body) {
		t.Error(err)
	}
}

func TestAlgorithms(t *testing.T) {
	weak := ssh.InsecureAlgorithms()
	a := algorithms()
	offered := strings.Join(append(append(append(a.KeyExchanges, a.Ciphers...), a.MACs...), hostKeyAlgorithms(nil)...), " ") + " "
	for _, w := range append(append(append(weak.KeyExchanges, weak.Ciphers...), weak.MACs...), weak.HostKeys...) {
		if strings.Contains(offered, w+" ") {
			t.Error("offered:", w)
		}
	}
	for _, part := range []string{"cert-v0", "hmac-sha1", "cbc", "ssh-dss"} {
		if strings.Contains(offered, part) {
			t.Error("offered:", part)
		}
	}
	if a.Ciphers[0] != ssh.CipherAES128GCM {
		t.Error(a.Ciphers[0])
	}
}
