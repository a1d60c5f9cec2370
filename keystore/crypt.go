package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"filippo.io/age"
)

// EncryptOptions says to whom keys are encrypted: either Passphrase, or
// IdentityFile and Recipients (at least one of the two).
type EncryptOptions struct {
	Passphrase   []byte   // the store gets an age identity, kept under this passphrase
	IdentityFile string   // age identities or an SSH private key; their recipients are derived
	Recipients   []string // age1... or SSH public keys, added to those of IdentityFile
	Progress     func(done, total int)
}

// Encryption describes how the store keeps keys.
type Encryption struct {
	Mode       Mode
	Recipients []string
	Changing   bool // a change was interrupted; running it again completes it
}

// Encryption returns how the store keeps keys now.
func (s *Store) Encryption() (Encryption, error) {
	c, err := s.readConfig()
	return Encryption{Mode: c.Mode, Recipients: c.Recipients, Changing: c.Changing}, err
}

// Encrypt turns a plain store into an encrypted one, one VM at a time; each
// switches in one step, and a store that is half done is fully usable. Running
// it again completes an interrupted run. Nothing is changed unless what it
// encrypts can be decrypted again with what is at hand.
func (s *Store) Encrypt(ctx context.Context, o EncryptOptions) error {
	return s.alone(ctx, func(c config) error {
		if c.Mode == ModePlain {
			return s.encryptTo(ctx, c, o)
		}
		if !c.Changing {
			return invalid("encrypt", "the keystore is encrypted already; rekey changes to whom")
		}
		if c.Mode == ModePassphrase || len(o.Recipients)+len(o.IdentityFile)+len(o.Passphrase) == 0 {
			return s.convertAll(ctx, c, nil, o.Progress)
		}
		return s.encryptTo(ctx, c, o)
	})
}

// Rekey encrypts every key anew. The store must be unlocked by the old
// identity until it is done; after an interruption it is run again.
func (s *Store) Rekey(ctx context.Context, o EncryptOptions) error {
	return s.alone(ctx, func(c config) error {
		if c.Mode == ModePlain {
			return invalid("rekey", "the keystore is not encrypted")
		}
		return s.encryptTo(ctx, c, o)
	})
}

// Decrypt turns an encrypted store into a plain one, as Encrypt does the
// opposite.
func (s *Store) Decrypt(ctx context.Context, progress func(done, total int)) error {
	return s.alone(ctx, func(c config) error {
		if c.Mode == ModePlain && !c.Changing {
			return nil
		}
		return s.convertAll(ctx, config{Mode: ModePlain}, nil, progress)
	})
}

func (s *Store) encryptTo(ctx context.Context, now config, o EncryptOptions) error {
	if len(o.Passphrase) > 0 {
		if o.IdentityFile != "" || len(o.Recipients) > 0 {
			return invalid("encrypt", "give either a passphrase or recipients")
		}
		return s.encryptPassphrase(ctx, now, o)
	}
	c := config{Mode: ModeIdentity, Recipients: slices.Clone(o.Recipients)}
	var own []age.Identity
	if o.IdentityFile != "" {
		ids, recipients, err := s.readIdentityFile(o.IdentityFile)
		if err != nil {
			return err
		}
		own, c.Recipients = ids, append(c.Recipients, recipients...)
	}
	if err := s.tryOut(c, own); err != nil {
		return err
	}
	return s.convertAll(ctx, c, nil, o.Progress)
}

// tryOut makes sure that keys encrypted to c can be read again, by own or by
// what unlocks the store silently.
func (s *Store) tryOut(c config, own []age.Identity) error {
	if len(c.Recipients) == 0 {
		return invalid("encrypt", "no recipient is given")
	}
	target, err := newTarget(c.Recipients)
	if err != nil {
		return err
	}
	secret := []byte(rand.Text())
	data, err := encrypt(secret, target.recipients)
	if err != nil {
		return err
	}
	plain, err := decryptWith("", data, own)
	if KindOf(err) == KindSealed {
		plain, err = s.decryptQuietly(data)
	}
	if err != nil || !bytes.Equal(plain, secret) {
		return &Error{
			Kind: KindSealed, Op: "encrypt", Err: err,
			Why: "the identity of these recipients is not at hand, so the keys could not be read again; nothing was changed",
		}
	}
	return nil
}

// encryptPassphrase gives the store an identity of its own. scrypt takes about
// a second; this way it is paid once and not per key.
func (s *Store) encryptPassphrase(ctx context.Context, now config, o EncryptOptions) error {
	old, err := s.oldIdentity(now)
	if err != nil {
		return err
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return ioError("encrypt", "", err)
	}
	wrap, err := s.scryptRecipient(o.Passphrase)
	if err != nil {
		return err
	}
	seal := func(text string) ([]byte, error) { return encrypt([]byte(text), []age.Recipient{wrap}) }
	both, err := seal(id.String() + "\n" + old)
	if err != nil {
		return err
	}
	var alone []byte // nil: what identity.age has is right already
	if old != "" {
		if alone, err = seal(id.String() + "\n"); err != nil {
			return err
		}
	}
	err = s.keysTx(func(t *tx) error { return t.put(fileIdentity, both) })
	if err != nil {
		return err
	}
	known, err := age.ParseIdentities(strings.NewReader(id.String() + "\n" + old))
	if err != nil {
		return badIdentity(s.path(fileIdentity))
	}
	s.addIdentities(known)
	c := config{Mode: ModePassphrase, Recipients: []string{id.Recipient().String()}}
	if err := s.convertAll(ctx, c, alone, o.Progress); err != nil {
		return err
	}
	return s.refreshKeyring(id.String())
}

// oldIdentity returns the text of the identities the store has now, "" if it
// has none of its own. The keyring's copy will do only if it is all there is:
// after an interrupted rekey identity.age has more than one.
func (s *Store) oldIdentity(now config) (string, error) {
	if _, err := readPrivate("read identity", s.path(fileIdentity), maxKey); IsNotFound(err) {
		return "", nil
	}
	if s.o.Keyring && !now.Changing && now.Mode == ModePassphrase {
		if secret, err := s.keyringGet(); err == nil && opens(secret, now.Recipients) {
			return strings.TrimSpace(secret) + "\n", nil
		}
	}
	text, err := s.openIdentity()
	if err == nil && text == nil {
		err = sealedError(s.path(fileIdentity), errors.New("nobody can be asked for the passphrase"))
	}
	return string(text), err
}

// opens tells whether the identities in secret include those of recipients.
func opens(secret string, recipients []string) bool {
	ids, err := age.ParseIdentities(strings.NewReader(secret))
	if err != nil {
		return false
	}
	for _, r := range recipients {
		if !slices.ContainsFunc(ids, func(id age.Identity) bool {
			x, ok := id.(*age.X25519Identity)
			return ok && x.Recipient().String() == r
		}) {
			return false
		}
	}
	return true
}

// addIdentities lets this process open what identity.age, which is now under a
// new passphrase, would open.
func (s *Store) addIdentities(ids []age.Identity) {
	s.unlock.Lock()
	defer s.unlock.Unlock()
	if s.ids == nil {
		s.ids = &identities{}
		s.loadSilent()
	}
	s.ids.silent = append(s.ids.silent, ids...)
}
