package keystore

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// privateKey is a PEM private key that does not show itself when printed,
// logged or encoded as JSON.
type privateKey []byte

const redacted = "[private key]"

// String returns a placeholder.
func (privateKey) String() string { return redacted }

// Format prints a placeholder whatever the verb.
func (privateKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalJSON returns a placeholder.
func (privateKey) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// LogValue returns a placeholder.
func (privateKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// key returns the private key of a VM. Its cost is that of reading two small
// files, whatever the size of the fleet, and it never waits for a writer. A
// damaged file is set aside (KindDamaged this time, with the place in Why) and
// never used. KindNotFound if no key is recorded, KindSealed if it cannot be
// decrypted.
func (s *Store) key(id string) (privateKey, error) {
	l, err := s.current(id)
	if err != nil {
		return nil, err
	}
	return s.unseal(id, l)
}

// Candidates returns the keys to try, best first: the current one, then its
// predecessor as long as that is kept.
func (s *Store) Candidates(id string) ([][]byte, error) {
	l, err := s.current(id)
	if err != nil {
		return nil, err
	}
	key, err := s.unseal(id, l)
	if err != nil {
		return nil, err
	}
	keys := [][]byte{key}
	if p := l.rec.Previous; p != nil {
		if data, ref, err := s.findFile(id, p.Files, nil); err == nil {
			if prev, err := s.unseal(id, located{l.rec.rolledBack(p), ref, data}); err == nil {
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
		l, merr := s.repairDamage(id)
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
	return s.repairDamage(id)
}

// unseal decrypts a located key if needed and makes sure that it is the key
// the record speaks of.
func (s *Store) unseal(id string, l located) (privateKey, error) {
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

// located is the key of a VM as found on disk: still sealed if the store is
// encrypted.
type located struct {
	rec  Record
	ref  FileRef
	data []byte
}

// readRecord reads one record, nothing else. KindNotFound if there is none.
func (s *Store) readRecord(id string) (Record, error) {
	if err := checkFolder(s.path(vmDir(id))); err != nil {
		return Record{}, err
	}
	path := s.path(vmDir(id), fileRecord)
	data, err := readShown("read record", path, maxRecord)
	if err != nil {
		return Record{}, err
	}
	return decodeRecord(id, path, data)
}

// locate reads a VM's record and the key file it vouches for: two small files.
// While a key is being replaced, or after the writer was killed doing so, the
// record may be ahead of the files; then the predecessor is the key, and the
// record that is returned says so. KindDamaged if files are there but none is
// what the record lists.
func (s *Store) locate(id string) (located, error) {
	rec, err := s.readRecord(id)
	if IsNotFound(err) && s.HasKey(id) {
		return located{}, &Error{
			Kind: KindDamaged, Op: "read record", Path: s.path(vmDir(id), fileRecord), Why: "it is missing",
		}
	}
	if err != nil {
		return located{}, err
	}
	var older []FileRef
	for _, p := range rec.older() {
		older = append(older, p.Files...)
	}
	data, ref, err := s.findFile(id, rec.KeyFiles, older)
	if IsNotFound(err) {
		for _, p := range rec.older() {
			if data, ref, perr := s.findFile(id, p.Files, older); perr == nil {
				return located{rec.rolledBack(p), ref, data}, nil
			}
		}
	}
	if IsNotFound(err) && len(rec.KeyFiles) > 0 {
		err = &Error{Kind: KindDamaged, Op: "read key", Path: s.path(vmDir(id), rec.KeyFiles[0].Name), Why: "it is missing"}
	}
	if err != nil {
		return located{rec: rec}, err
	}
	return located{rec, ref, data}, nil
}

// findFile returns the first file whose content is what its reference says. A
// file that is listed in older instead is not there yet, rather than damaged.
func (s *Store) findFile(id string, refs, older []FileRef) ([]byte, FileRef, error) {
	var failed error = &Error{Kind: KindNotFound, Op: "read key", Path: s.path(vmDir(id)), Why: "no key is recorded"}
	for _, ref := range refs {
		if !slices.Contains(keyNames(), ref.Name) {
			continue
		}
		path := s.path(vmDir(id), ref.Name)
		data, err := readPrivate("read key", path, maxKey)
		if IsNotFound(err) {
			continue
		}
		if err != nil && KindOf(err) != KindDamaged {
			return nil, FileRef{}, err
		}
		sum := sha(data)
		if err == nil && sum == ref.Sum {
			return data, ref, nil
		}
		if err == nil && lists(older, ref.Name, sum) {
			continue
		}
		failed = &Error{Kind: KindDamaged, Op: "read key", Path: path, Why: "it is not what was written"}
	}
	return nil, FileRef{}, failed
}

// lists tells whether refs has this very file with this very content.
func lists(refs []FileRef, name, sum string) bool {
	return slices.ContainsFunc(refs, func(r FileRef) bool { return r.Name == name && r.Sum == sum })
}

// sealed tells whether a file's name says that it is encrypted.
func sealed(name string) bool { return filepath.Ext(name) == ageSuffix }
