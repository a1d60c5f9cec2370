package sshconn

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/ssh"
)

// Sentinels found with errors.Is in the error of [ParseKey] and of a dial.
var (
	// ErrKeyEncrypted: the private key is protected by a passphrase.
	ErrKeyEncrypted = errors.New("the private key is protected by a passphrase")
	// ErrKeyDamaged: the bytes are no private key this program can use.
	ErrKeyDamaged = errors.New("not a usable private key")
	// errNoKey: the target has no private key.
	errNoKey = errors.New("no private key")
)

// maxKeyBytes bounds what is handed to the parser; a 16384-bit RSA key in PEM
// form has about 13 kB.
const maxKeyBytes = 64 << 10

// maxOffered bounds the keys offered in one login: sshd's MaxAuthTries is 6.
const maxOffered = 5

// ParseKey reads a private key in PEM form (OpenSSH's own or PKCS) and returns
// its public half as "type base64". The error is ErrKeyEncrypted or
// ErrKeyDamaged and never contains any part of the key.
func ParseKey(pem []byte) (string, error) {
	s, err := parseSigner(pem)
	if err != nil {
		return "", err
	}
	return authorizedKey(s.PublicKey()), nil
}

// Fingerprint is the SHA256 fingerprint, as ssh-keygen -l prints it, of a
// public key in the form "type base64 [comment]", or "" if it is none.
func Fingerprint(publicKey string) string {
	k, err := parsePublic(publicKey)
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(k)
}

func parsePublic(line string) (ssh.PublicKey, error) {
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	return k, err
}

func authorizedKey(k ssh.PublicKey) string {
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(k)))
}

func parseSigner(pem []byte) (ssh.Signer, error) {
	if len(pem) > maxKeyBytes {
		return nil, ErrKeyDamaged
	}
	raw, err := ssh.ParseRawPrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, ErrKeyEncrypted
	case err != nil:
		return nil, ErrKeyDamaged // the parser's text may quote input
	}
	// Of this type alone the parser believes the public half unseen: one wrong
	// bit would make a key that looks like the good one and opens nothing.
	if k, ok := raw.(*ed25519.PrivateKey); ok && !k.Equal(ed25519.NewKeyFromSeed(k.Seed())) {
		return nil, ErrKeyDamaged
	}
	s, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return nil, ErrKeyDamaged
	}
	return modern(s)
}

// modern restricts RSA keys to SHA-2 signatures and refuses weak types.
func modern(s ssh.Signer) (ssh.Signer, error) {
	kind := s.PublicKey().Type()
	if kind == ssh.KeyAlgoRSA {
		if as, ok := s.(ssh.AlgorithmSigner); ok {
			return ssh.NewSignerWithAlgorithms(as, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
		}
	}
	if !slices.Contains(ssh.SupportedAlgorithms().PublicKeyAuths, kind) {
		return nil, ErrKeyDamaged
	}
	return s, nil
}

// keyring is the keys of one login and remembers which one was used.
type keyring struct {
	signers []ssh.Signer
	used    int // index in Target.Keys; -1 before a signature
	public  string
}

// newKeyring parses the keys. Damaged ones are skipped as long as one works.
func newKeyring(keys [][]byte) (*keyring, error) {
	k := &keyring{used: -1}
	var bad []error
	for i, pem := range keys {
		s, err := parseSigner(pem)
		if err != nil {
			bad = append(bad, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		if len(k.signers) == maxOffered || k.has(s.PublicKey()) {
			continue
		}
		k.signers = append(k.signers, k.track(i, s))
	}
	if len(k.signers) > 0 {
		return k, nil
	}
	if len(bad) == 0 {
		return nil, errNoKey
	}
	return nil, errors.Join(bad...)
}

func (k *keyring) has(pub ssh.PublicKey) bool {
	for _, s := range k.signers {
		if bytes.Equal(s.PublicKey().Marshal(), pub.Marshal()) {
			return true
		}
	}
	return false
}

func (k *keyring) track(index int, s ssh.Signer) ssh.Signer {
	t := &trackedSigner{Signer: s, onUse: func() {
		k.used, k.public = index, authorizedKey(s.PublicKey())
	}}
	if s.PublicKey().Type() == ssh.KeyAlgoRSA {
		t.algorithms = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	} else {
		t.algorithms = []string{s.PublicKey().Type()}
	}
	return t
}

// trackedSigner tells when it signs, which happens only for a key that the
// server has said it would accept.
type trackedSigner struct {
	ssh.Signer
	algorithms []string
	onUse      func()
}

func (t *trackedSigner) Algorithms() []string { return t.algorithms }

func (t *trackedSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	t.onUse()
	return t.Signer.Sign(rand, data)
}

func (t *trackedSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	t.onUse()
	if as, ok := t.Signer.(ssh.AlgorithmSigner); ok {
		return as.SignWithAlgorithm(rand, data, algorithm)
	}
	return t.Signer.Sign(rand, data)
}

// errPassphrase: the passphrase does not open the private key.
var errPassphrase = errors.New("the passphrase does not open the private key")

// DecryptKey takes the passphrase off a private key in PEM form and returns it
// in OpenSSH's form, unprotected. The error is errPassphrase or
// ErrKeyDamaged and never contains any part of the key.
func DecryptKey(key, passphrase []byte) ([]byte, error) {
	if len(key) > maxKeyBytes {
		return nil, ErrKeyDamaged
	}
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(key, passphrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errPassphrase
	}
	if err != nil {
		return nil, ErrKeyDamaged // the parser's text may quote input
	}
	block, err := ssh.MarshalPrivateKey(raw, "")
	if err != nil {
		return nil, ErrKeyDamaged
	}
	return pem.EncodeToMemory(block), nil
}
