package keystore

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

// target is how keys are to be written now.
type target struct {
	recipients []age.Recipient // nil: plain
	to         string
}

func (s *Store) target() (target, error) {
	c, err := s.readConfig()
	if err != nil {
		return target{}, err
	}
	return newTarget(c.Recipients)
}

func newTarget(lines []string) (target, error) {
	recipients, err := parseRecipients(lines)
	return target{recipients: recipients, to: fingerprint(lines)}, err
}

// parseRecipients understands age1... and SSH public keys.
func parseRecipients(lines []string) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "ssh-") {
			r, err := agessh.ParseRecipient(line)
			if err != nil {
				return nil, invalid("encrypt", "%.60q is not a usable SSH recipient (ssh-ed25519 and ssh-rsa are)", line)
			}
			out = append(out, r)
			continue
		}
		rs, err := age.ParseRecipients(strings.NewReader(line))
		if err != nil || len(rs) == 0 {
			return nil, invalid("encrypt", "%.60q is not an age recipient", line)
		}
		out = append(out, rs...)
	}
	return out, nil
}

// seal returns the content and description of the file name (id or id.prev)
// for a key, encrypted if the target says so.
func (t target) seal(name string, pem []byte) ([]byte, FileRef, error) {
	if t.recipients == nil {
		return pem, FileRef{Name: name, Sum: sha(pem)}, nil
	}
	data, err := encrypt(pem, t.recipients)
	if err != nil {
		return nil, FileRef{}, err
	}
	return data, FileRef{Name: name + ageSuffix, Sum: sha(data), To: t.to}, nil
}

func encrypt(plain []byte, recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, &Error{Kind: KindInvalid, Op: "encrypt", Err: err}
	}
	return out.Bytes(), nil
}

// decryptWith opens data; KindSealed if no identity fits, KindDamaged if one
// does and the content is not what was encrypted.
func decryptWith(path string, data []byte, ids []age.Identity) ([]byte, error) {
	if len(ids) == 0 {
		return nil, sealedError(path, nil)
	}
	r, err := age.Decrypt(bytes.NewReader(data), ids...)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return nil, sealedError(path, err)
		}
		return nil, &Error{Kind: KindDamaged, Op: "decrypt", Path: path, Why: "it is not an age file as written", Err: err}
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxDoc))
	if err != nil {
		return nil, &Error{Kind: KindDamaged, Op: "decrypt", Path: path, Why: "its content is not what was encrypted", Err: err}
	}
	return plain, nil
}

func sealedError(path string, err error) error {
	return &Error{
		Kind: KindSealed, Op: "decrypt", Path: path, Err: err,
		Why: "none of the identities at hand opens it (identity file, keyring, passphrase)",
	}
}

// looksSealed tells whether data starts like an age file.
func looksSealed(data []byte) bool { return bytes.HasPrefix(data, []byte("age-encryption.org/v1\n")) }
