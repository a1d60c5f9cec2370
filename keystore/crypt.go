package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// Encrypt turns a plain store into an encrypted one, one VM at a time; each
// switches in one step, and a store that is half done is fully usable. Running
// it again completes an interrupted run. Nothing is changed unless what it
// encrypts can be decrypted again with what is at hand.
func (s *Store) Encrypt(ctx context.Context, o EncryptOptions) error {
	return s.oneConversion(ctx, func(c config) error {
		if c.Mode == modePlain {
			return s.encryptTo(ctx, c, o)
		}
		if !c.Changing {
			return invalid("encrypt", "the keystore is encrypted already; rekey changes to whom")
		}
		if c.Mode == modePassphrase || len(o.Recipients)+len(o.IdentityFile)+len(o.Passphrase) == 0 {
			return s.convertAll(ctx, c, nil, o.Progress)
		}
		return s.encryptTo(ctx, c, o)
	})
}

// Rekey encrypts every key anew. The store must be unlocked by the old
// identity until it is done; after an interruption it is run again.
func (s *Store) Rekey(ctx context.Context, o EncryptOptions) error {
	return s.oneConversion(ctx, func(c config) error {
		if c.Mode == modePlain {
			return invalid("rekey", "the keystore is not encrypted")
		}
		return s.encryptTo(ctx, c, o)
	})
}

// Decrypt turns an encrypted store into a plain one, as Encrypt does the
// opposite.
func (s *Store) Decrypt(ctx context.Context, progress func(done, total int)) error {
	return s.oneConversion(ctx, func(c config) error {
		if c.Mode == modePlain && !c.Changing {
			return nil
		}
		return s.convertAll(ctx, config{Mode: modePlain}, nil, progress)
	})
}

func (s *Store) encryptTo(ctx context.Context, now config, o EncryptOptions) error {
	if len(o.Passphrase) > 0 {
		if o.IdentityFile != "" || len(o.Recipients) > 0 {
			return invalid("encrypt", "give either a passphrase or recipients")
		}
		return s.encryptPassphrase(ctx, now, o)
	}
	c := config{Mode: modeIdentity, Recipients: slices.Clone(o.Recipients)}
	var own []age.Identity
	if o.IdentityFile != "" {
		ids, recipients, err := s.readIdentityFile(o.IdentityFile)
		if err != nil {
			return err
		}
		own, c.Recipients = ids, append(c.Recipients, recipients...)
	}
	if err := s.checkReadable(c, own); err != nil {
		return err
	}
	return s.convertAll(ctx, c, nil, o.Progress)
}

// checkReadable makes sure that keys encrypted to c can be read again, by own or by
// what unlocks the store silently.
func (s *Store) checkReadable(c config, own []age.Identity) error {
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
	c := config{Mode: modePassphrase, Recipients: []string{id.Recipient().String()}}
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
	if s.o.Keyring && !now.Changing && now.Mode == modePassphrase {
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

// configVersion is the version of store.json this package writes.
const configVersion = 1

// cryptMode says how keys are kept.
type cryptMode string

// The modes.
const (
	modePlain      cryptMode = "plain"      // 0600 files, the default
	modePassphrase cryptMode = "passphrase" // to an identity of the store, itself under a passphrase
	modeIdentity   cryptMode = "identity"   // to age or SSH recipients
)

// config is store.json. Without it the store is plain.
type config struct {
	Version    int       `json:"version"`
	Mode       cryptMode `json:"mode"`
	Recipients []string  `json:"recipients,omitempty"`
	Changing   bool      `json:"changing,omitempty"` // an Encrypt, Decrypt or Rekey has not finished
}

func (s *Store) readConfig() (config, error) {
	path := s.path(fileConfig)
	data, err := readShown("read settings of the keystore", path, maxRecord)
	if IsNotFound(err) {
		return config{Version: configVersion, Mode: modePlain}, nil
	}
	if err != nil {
		return config{}, err
	}
	var c config
	err = json.Unmarshal(data, &c)
	if c.Version > configVersion {
		return c, nil
	}
	modes := []cryptMode{modePlain, modePassphrase, modeIdentity}
	if err != nil || c.Version < 1 || !slices.Contains(modes, c.Mode) || (c.Mode == modePlain) != (len(c.Recipients) == 0) {
		// Writing plain keys into a store that was encrypted would be worse
		// than writing none.
		return config{}, &Error{Kind: KindDamaged, Op: "read settings of the keystore", Path: path, Why: "they are not what was written"}
	}
	return c, nil
}

// checkWritable refuses to write keys into a newer version's store.
func (s *Store) checkWritable() error {
	c, err := s.readConfig()
	if err == nil && c.Version > configVersion {
		return newer(s.path(fileConfig))
	}
	return err
}

func (t *tx) putConfig(c config) error {
	c.Version = configVersion
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return invalid("write settings of the keystore", "%v", err)
	}
	return t.put(fileConfig, append(data, '\n'))
}

// fingerprint names a set of recipients in a FileRef; "" for none.
func fingerprint(recipients []string) string {
	if len(recipients) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(recipients))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return hex.EncodeToString(sum[:8])
}
