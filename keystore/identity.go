package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/zalando/go-keyring"
)

// identities caches what unlocks the store in this process. Each source is
// asked once, and only when one before it did not do.
type identities struct {
	silent   []age.Identity // identity file, keyring
	err      error          // why a silent source failed; told when nothing else opens a file
	asked    bool
	prompted []age.Identity // from identity.age, by passphrase
	askErr   error
}

// decrypt opens a file of the store with whatever is at hand, asking for the
// passphrase last.
func (s *Store) decrypt(path string, data []byte) ([]byte, error) {
	s.unlock.Lock()
	defer s.unlock.Unlock()
	plain, err := s.decryptSilently(path, data)
	if KindOf(err) != KindSealed {
		return plain, err
	}
	if !s.ids.asked {
		s.ids.asked = true
		s.ids.prompted, s.ids.askErr = s.askPassphrase()
	}
	if s.ids.askErr != nil {
		return nil, s.ids.askErr
	}
	if len(s.ids.prompted) > 0 {
		return decryptWith(path, data, s.ids.prompted)
	}
	if s.ids.err != nil {
		return nil, s.ids.err
	}
	return nil, err
}

// decryptQuietly never asks anybody.
func (s *Store) decryptQuietly(data []byte) ([]byte, error) {
	s.unlock.Lock()
	defer s.unlock.Unlock()
	return s.decryptSilently("", data)
}

// decryptSilently needs s.unlock.
func (s *Store) decryptSilently(path string, data []byte) ([]byte, error) {
	if s.ids == nil {
		s.ids = &identities{}
		s.loadSilent()
	}
	return decryptWith(path, data, append(s.ids.silent[:len(s.ids.silent):len(s.ids.silent)], s.ids.prompted...))
}

func (s *Store) loadSilent() {
	if s.o.IdentityFile != "" {
		ids, _, err := s.readIdentityFile(s.o.IdentityFile)
		s.ids.silent, s.ids.err = ids, err
	}
	if s.o.Keyring {
		secret, err := s.keyringGet()
		if err != nil {
			s.ids.err = errors.Join(s.ids.err, err)
			return
		}
		ids, err := age.ParseIdentities(strings.NewReader(secret))
		if err == nil {
			s.ids.silent = append(s.ids.silent, ids...)
		}
	}
}

// askPassphrase opens identity.age. Without it, or without anybody to ask,
// there are no identities and no error.
func (s *Store) askPassphrase() ([]age.Identity, error) {
	secret, err := s.openIdentity()
	if err != nil || secret == nil {
		return nil, err
	}
	return age.ParseIdentities(bytes.NewReader(secret))
}

// openIdentity returns the text of identity.age, nil if there is none or
// nobody to ask.
func (s *Store) openIdentity() ([]byte, error) {
	path := s.path(fileIdentity)
	data, err := readPrivate("read identity", path, maxKey)
	if IsNotFound(err) || s.o.Passphrase == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	question := "Passphrase of the keystore " + s.dir
	for try := 1; ; try++ {
		pass, err := s.o.Passphrase(question)
		if err != nil {
			return nil, &Error{Kind: KindSealed, Op: "unlock keystore", Path: path, Err: err}
		}
		plain, err := openWith(path, data, pass)
		switch {
		case KindOf(err) != KindSealed && KindOf(err) != KindInvalid:
			return plain, err
		case try == passphraseTries:
			return nil, &Error{Kind: KindSealed, Op: "unlock keystore", Path: path, Why: fmt.Sprintf("the passphrase was wrong %d times", try), Err: errors.Join(errWrongPassphrase, err)}
		}
		question = "That is not it. Passphrase of the keystore " + s.dir
	}
}

var errWrongPassphrase = errors.New("wrong passphrase")

// IsWrongPassphrase reports whether a person was asked for a passphrase and did
// not know it.
func IsWrongPassphrase(err error) bool { return errors.Is(err, errWrongPassphrase) }

// passphraseTries is how often a person may mistype, as with ssh and sudo.
const passphraseTries = 3

func openWith(path string, data, pass []byte) ([]byte, error) {
	id, err := scryptIdentity(pass)
	if err != nil {
		return nil, err
	}
	return decryptWith(path, data, []age.Identity{id})
}

// maxWorkFactor bounds what a hostile file can make us compute: 2^20 is about
// four seconds and 1 GiB; age itself writes 2^18.
const maxWorkFactor = 20

// scryptRecipient encrypts to a passphrase, with age's own work factor unless
// a test asks for less.
func (s *Store) scryptRecipient(pass []byte) (*age.ScryptRecipient, error) {
	r, err := age.NewScryptRecipient(string(pass))
	if err != nil {
		return nil, invalid("encrypt", "the passphrase is empty")
	}
	if s.o.ScryptWork != 0 {
		r.SetWorkFactor(s.o.ScryptWork)
	}
	return r, nil
}

func scryptIdentity(pass []byte) (age.Identity, error) {
	id, err := age.NewScryptIdentity(string(pass))
	if err != nil {
		return nil, invalid("unlock", "the passphrase is empty")
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	return id, nil
}

// readIdentityFile reads an age identity file or an SSH private key, and the
// recipients that belong to it.
func (s *Store) readIdentityFile(path string) ([]age.Identity, []string, error) {
	data, err := readPrivate("read identity", path, maxRecord)
	if IsNotFound(err) {
		return nil, nil, &Error{Kind: KindSealed, Op: "read identity", Path: path, Why: "there is no such file", Err: err}
	}
	if err != nil {
		return nil, nil, err
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return s.parseSSHIdentity(path, data)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil { // the parser's text may quote a line of the file
		return nil, nil, badIdentity(path)
	}
	var recipients []string
	for _, id := range ids {
		switch id := id.(type) {
		case *age.X25519Identity:
			recipients = append(recipients, id.Recipient().String())
		case *age.HybridIdentity:
			recipients = append(recipients, id.Recipient().String())
		}
	}
	return ids, recipients, nil
}

func badIdentity(path string) error {
	return &Error{
		Kind: KindInvalid, Op: "read identity", Path: path,
		Why: "it is neither an age identity nor an ed25519 or RSA private key of SSH that can be opened",
	}
}

func (s *Store) parseSSHIdentity(path string, pem []byte) ([]age.Identity, []string, error) {
	id, err := agessh.ParseIdentity(pem)
	if err != nil {
		if pem, err = s.openSSHKey(path, pem); err != nil {
			return nil, nil, err
		}
		if id, err = agessh.ParseIdentity(pem); err != nil {
			return nil, nil, badIdentity(path)
		}
	}
	public, err := s.o.ParseKey(pem)
	if err != nil {
		return nil, nil, badIdentity(path)
	}
	return []age.Identity{id}, []string{public}, nil
}

// openSSHKey takes the passphrase off an SSH private key.
func (s *Store) openSSHKey(path string, pem []byte) ([]byte, error) {
	if s.o.DecryptSSHKey == nil || s.o.Passphrase == nil {
		return nil, badIdentity(path)
	}
	pass, err := s.o.Passphrase("Passphrase of " + path)
	if err != nil {
		return nil, &Error{Kind: KindSealed, Op: "read identity", Path: path, Err: err}
	}
	plain, err := s.o.DecryptSSHKey(pem, pass)
	if err != nil {
		return nil, &Error{Kind: KindSealed, Op: "read identity", Path: path, Why: "the passphrase is wrong", Err: err}
	}
	return plain, nil
}

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
