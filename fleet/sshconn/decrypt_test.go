package sshconn

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestDecryptKey(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: deriving keys takes long under the race detector, and is one goroutine's work")
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	locked := pem.EncodeToMemory(block)
	if _, err := ParseKey(locked); !errors.Is(err, ErrKeyEncrypted) {
		t.Errorf("a locked key: %v", err)
	}
	if _, err := DecryptKey(locked, []byte("wrong")); !errors.Is(err, errPassphrase) {
		t.Errorf("a wrong passphrase: %v", err)
	}
	if _, err := DecryptKey([]byte("no key"), nil); !errors.Is(err, ErrKeyDamaged) {
		t.Errorf("no key at all: %v", err)
	}
	open, err := DecryptKey(locked, []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseKey(open)
	want, _ := ssh.NewPublicKey(public)
	if err != nil || got != authorizedKey(want) {
		t.Errorf("opened key: %q, %v", got, err)
	}
}
