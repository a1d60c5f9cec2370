package keystore

import (
	"path/filepath"
	"slices"
)

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
	data, err := readPrivate("read record", path, maxRecord)
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
