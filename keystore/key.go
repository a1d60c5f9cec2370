package keystore

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
)

// PrivateKey is a PEM private key that does not show itself when printed,
// logged or encoded as JSON.
type PrivateKey []byte

const redacted = "[private key]"

// String returns a placeholder.
func (PrivateKey) String() string { return redacted }

// Format prints a placeholder whatever the verb.
func (PrivateKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalJSON returns a placeholder.
func (PrivateKey) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// LogValue returns a placeholder.
func (PrivateKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// Key returns the private key of a VM. Its cost is that of reading two small
// files, whatever the size of the fleet, and it never waits for a writer. A
// damaged file is set aside (KindDamaged this time, with the place in Why) and
// never used. KindNotFound if no key is recorded, KindSealed if it cannot be
// decrypted.
func (s *Store) Key(id string) (PrivateKey, error) {
	l, err := s.current(id)
	if err != nil {
		return nil, err
	}
	return s.reveal(id, l)
}

// Candidates returns the keys to try, best first: the current one, then its
// predecessor as long as that is kept.
func (s *Store) Candidates(id string) ([][]byte, error) {
	l, err := s.current(id)
	if err != nil {
		return nil, err
	}
	key, err := s.reveal(id, l)
	if err != nil {
		return nil, err
	}
	keys := [][]byte{key}
	if p := l.rec.Previous; p != nil {
		if data, ref, err := s.findFile(id, p.Files, nil); err == nil {
			if prev, err := s.reveal(id, located{l.rec.rolledBack(p), ref, data}); err == nil {
				keys = append(keys, prev)
			}
		}
	}
	return keys, nil
}

// HasKey tells whether a key file of the VM is there, without reading it.
func (s *Store) HasKey(id string) bool {
	if !validID(id) {
		return false
	}
	for _, name := range []string{fileKey, fileKey + ageSuffix} {
		if info, err := os.Lstat(s.path(vmDir(id), name)); err == nil && info.Mode().Type() == fs.FileMode(0) {
			return true
		}
	}
	return false
}

// Record returns what is known about a VM. KindNotFound if nothing is.
func (s *Store) Record(id string) (Record, error) {
	if err := checkID("read record", id); err != nil {
		return Record{}, err
	}
	rec, err := s.readRecord(id)
	if err == nil {
		return rec, nil
	}
	if KindOf(err) == KindDamaged || IsNotFound(err) && s.HasKey(id) {
		l, merr := s.mend(id)
		if l.rec.VMID != "" {
			return l.rec, nil
		}
		return Record{}, merr
	}
	return Record{}, err
}

// current locates a VM's key. A mismatch is looked at again, because a writer
// may have been between its renames, before it is taken for damage.
func (s *Store) current(id string) (located, error) {
	if err := checkID("read key", id); err != nil {
		return located{}, err
	}
	for range 3 {
		l, err := s.locate(id)
		if KindOf(err) != KindDamaged {
			return l, err
		}
	}
	return s.mend(id)
}

// reveal decrypts a located key if needed and makes sure that it is the key
// the record speaks of.
func (s *Store) reveal(id string, l located) (PrivateKey, error) {
	pem := l.data
	path := s.path(vmDir(id), l.ref.Name)
	if sealed(l.ref.Name) {
		var err error
		if pem, err = s.decrypt(path, l.data); err != nil {
			return nil, err
		}
	}
	public, err := s.o.ParseKey(pem)
	if err != nil || l.rec.PublicKey != "" && public != l.rec.PublicKey {
		return nil, &Error{Kind: KindDamaged, Op: "read key", Path: path, Why: "it is not the key its record names", Err: err}
	}
	return pem, nil
}
