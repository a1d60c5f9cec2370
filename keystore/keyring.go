package keystore

import (
	"errors"
	"time"

	"github.com/zalando/go-keyring"
)

// keyringService is the name the keyring lists the secret under; the account
// is the profile's folder.
const keyringService = "vers-fleet"

// keyringTimeout is how long a keyring may take, a person's answer to its own
// dialogue included.
const keyringTimeout = time.Minute

// keyringGet asks the operating system's keyring, "" if it knows nothing.
func (s *Store) keyringGet() (string, error) {
	var secret string
	err := withTimeout(keyringTimeout, func() (err error) {
		secret, err = keyring.Get(keyringService, s.dir)
		return err
	})
	if errors.Is(err, keyring.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", &Error{Kind: KindSealed, Op: "ask the keyring", Why: "it does not answer", Err: err}
	}
	return secret, nil
}

func withTimeout(d time.Duration, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-time.After(d):
		return errTimeout
	}
}

var errTimeout = errors.New("no answer in time")

// SaveToKeyring unlocks the store and puts its identity into the operating
// system's keyring, so that scripts need no prompt. Only a store in passphrase
// mode has an identity of its own; otherwise KindInvalid.
func (s *Store) SaveToKeyring() error {
	secret, err := s.openIdentity()
	if err != nil {
		return err
	}
	if secret == nil {
		return invalid("save to keyring", "the keystore has no passphrase, or nobody can be asked for it")
	}
	err = withTimeout(keyringTimeout, func() error { return keyring.Set(keyringService, s.dir, string(secret)) })
	if err != nil {
		return &Error{Kind: KindIO, Op: "save to keyring", Why: "the keyring does not take it", Err: err}
	}
	return nil
}

// RemoveFromKeyring takes the identity out of the keyring again.
func (s *Store) RemoveFromKeyring() error {
	err := withTimeout(keyringTimeout, func() error { return keyring.Delete(keyringService, s.dir) })
	if err == nil || errors.Is(err, keyring.ErrNotFound) {
		return nil
	}
	return &Error{Kind: KindIO, Op: "remove from keyring", Why: "the keyring does not answer", Err: err}
}

// refreshKeyring replaces the identity in the keyring after a rekey, if it is
// kept there.
func (s *Store) refreshKeyring(secret string) error {
	if !s.o.Keyring {
		return nil
	}
	if old, err := s.keyringGet(); err != nil || old == "" {
		return nil
	}
	err := withTimeout(keyringTimeout, func() error { return keyring.Set(keyringService, s.dir, secret) })
	if err != nil {
		return &Error{Kind: KindIO, Op: "save to keyring", Why: "the keys are encrypted anew, but the keyring still has the old identity", Err: err}
	}
	return nil
}
