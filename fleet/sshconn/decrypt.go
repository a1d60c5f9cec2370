package sshconn

import (
	"crypto/x509"
	"encoding/pem"
	"errors"

	"golang.org/x/crypto/ssh"
)

// ErrPassphrase: the passphrase does not open the private key.
var ErrPassphrase = errors.New("the passphrase does not open the private key")

// DecryptKey takes the passphrase off a private key in PEM form and returns it
// in OpenSSH's form, unprotected. The error is [ErrPassphrase] or
// [ErrKeyDamaged] and never contains any part of the key.
func DecryptKey(key, passphrase []byte) ([]byte, error) {
	if len(key) > maxKeyBytes {
		return nil, ErrKeyDamaged
	}
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(key, passphrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, ErrPassphrase
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
