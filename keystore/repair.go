package keystore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// repairTimeout is how long a reader that met a damaged file waits for writers.
const repairTimeout = 5 * time.Second

// repairDamage is what a reader does about damage: under the lock it looks again, sets
// damaged files aside, and returns what is left. Where the store cannot be
// written, the intact files are used all the same.
func (s *Store) repairDamage(id string) (located, error) {
	ctx, cancel := context.WithTimeout(context.Background(), repairTimeout)
	defer cancel()
	var l located
	var verdict error
	err := s.exclusive(ctx, lockKeys, func(t *tx) error {
		if l, verdict = s.locate(id); KindOf(verdict) != KindDamaged {
			return nil
		}
		moved, err := t.repair(id)
		if err != nil {
			return err
		}
		l, verdict = s.locate(id)
		if moved != "" {
			s.warn("a damaged file of VM " + id + " was moved to " + moved)
		}
		verdict = asDamaged(verdict, moved)
		return nil
	})
	if err == nil {
		return l, verdict
	}
	if p, perr := s.inspect(id); perr == nil && p.found.data != nil {
		return p.found, nil
	}
	return l, err
}

// asDamaged turns "nothing left" into the reason for it.
func asDamaged(err error, moved string) error {
	if err == nil || moved == "" || !IsNotFound(err) {
		return err
	}
	return &Error{
		Kind: KindDamaged, Op: "read key", Path: moved,
		Why: "the key was damaged and has been set aside here", Err: err,
	}
}

// repair brings a VM's folder into order under lockKeys and returns where
// damaged files were moved to, "" if there were none.
func (t *tx) repair(id string) (moved string, err error) {
	p, err := t.s.inspect(id)
	if err != nil {
		return "", err
	}
	if p.idle() {
		return "", t.removeIfEmpty(id)
	}
	if err := t.mark(vmDir(id)); err != nil {
		return "", err
	}
	if moved, err = t.quarantine(vmDir(id), id, p.quarantine...); err != nil {
		return "", err
	}
	if p.restore != "" {
		if err := t.put(filepath.Join(vmDir(id), p.restore), p.found.data); err != nil {
			return "", err
		}
	}
	if p.write {
		if err := t.putRecord(p.found.rec); err != nil {
			return "", err
		}
	}
	for _, name := range p.drop {
		if err := t.remove(filepath.Join(vmDir(id), name)); err != nil {
			return "", err
		}
	}
	return moved, t.removeIfEmpty(id)
}

// quarantine moves files of the folder rel to damaged/<label>-<time>/, and
// returns where that is, "" if there are none.
func (t *tx) quarantine(rel, label string, names ...string) (string, error) {
	if len(names) == 0 {
		return "", nil
	}
	to := filepath.Join("damaged", label+"-"+strings.ReplaceAll(t.s.clock().UTC().Format("20060102T150405.000"), ".", "-"))
	if err := t.s.makeFolders(t.s.path(to)); err != nil {
		return "", err
	}
	for _, name := range names {
		from := t.s.path(rel, name)
		if err := os.Rename(from, t.s.path(to, name)); err != nil {
			return "", ioError("set aside", from, err)
		}
	}
	if err := t.sync(to); err != nil {
		return "", err
	}
	return t.s.path(to), t.sync(rel)
}

// setAside makes room for a file that only helps, when what is there cannot be
// used, as because says: it moves that out of the way and says so.
func (t *tx) setAside(rel string, because error) error {
	dir, name := filepath.Split(rel)
	moved, err := t.quarantine(filepath.Clean(dir+"."), strings.TrimSuffix(name, filepath.Ext(name)), name)
	if err == nil {
		t.s.warn(because.Error() + "; it was moved to " + moved + " and begins anew")
	}
	return err
}

// removeIfEmpty removes a folder that a killed writer created and never filled.
func (t *tx) removeIfEmpty(id string) error {
	dir := t.s.path(vmDir(id))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return nil
	}
	return t.remove(vmDir(id))
}

func (t *tx) putRecord(r Record) error {
	data, err := encodeRecord(r)
	if err != nil {
		return err
	}
	return t.put(filepath.Join(vmDir(r.VMID), fileRecord), data)
}

// inspection is what a look at all files of one VM's folder found, and what
// would bring it into order.
type inspection struct {
	found      located // the record to use and the current key, if any
	has        bool    // there is a record, read or rebuilt
	write      bool    // the record must be written
	restore    string  // name the current key must be put back under
	quarantine []string
	drop       []string // superseded copies
}

func (p *inspection) idle() bool {
	return !p.write && p.restore == "" && len(p.quarantine) == 0 && len(p.drop) == 0
}

// inspect decides; it changes nothing. A file with unsafe permissions is an
// error, because it may not be touched, and a newer version's record is left
// alone with everything it may refer to.
func (s *Store) inspect(id string) (*inspection, error) {
	p := &inspection{}
	rec, err := s.readRecord(id)
	switch {
	case err == nil && rec.Version > recordVersion:
		l, err := s.locate(id)
		return &inspection{found: l, has: true}, err
	case err == nil:
		p.found.rec, p.has = rec, true
	case KindOf(err) == KindDamaged:
		p.quarantine = append(p.quarantine, fileRecord)
	case !IsNotFound(err):
		return nil, err
	}
	files, err := s.keyFiles(id, p)
	if err != nil {
		return nil, err
	}
	if p.has {
		s.matchFiles(p, files)
	} else {
		s.rebuildRecord(id, p, files)
	}
	return p, nil
}

// keyFiles reads every key file that is there. Absurdly large ones go aside.
func (s *Store) keyFiles(id string, p *inspection) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range keyNames() {
		data, err := readPrivate("read key", s.path(vmDir(id), name), maxKey)
		switch {
		case err == nil:
			files[name] = data
		case KindOf(err) == KindDamaged:
			p.quarantine = append(p.quarantine, name)
		case !IsNotFound(err):
			return nil, err
		}
	}
	return files, nil
}

// matchFiles compares the files with the record.
func (s *Store) matchFiles(p *inspection, files map[string][]byte) {
	rec := &p.found.rec
	pick := func(refs []FileRef) (FileRef, bool) {
		for _, r := range refs {
			if data, ok := files[r.Name]; ok && sha(data) == r.Sum {
				return r, true
			}
		}
		return FileRef{}, false
	}
	if ref, ok := pick(rec.KeyFiles); ok {
		p.found.ref, p.found.data = ref, files[ref.Name]
	} else {
		for _, older := range rec.older() { // the change was interrupted, or its result damaged
			if ref, ok := pick(older.Files); ok {
				*rec = rec.rolledBack(older)
				p.found.ref, p.found.data, p.write = ref, files[ref.Name], true
				p.keepAs(keyNameFor(ref.Name), files)
				break
			}
		}
	}
	if p.found.data == nil && rec.HasKey() {
		rec.forgetKey()
		p.write = true
	}
	prev := ""
	if rec.Previous != nil {
		if ref, ok := pick(rec.Previous.Files); ok {
			prev = ref.Name
		} else {
			rec.Previous, p.write = nil, true
		}
	}
	for name, data := range files {
		s.classify(p, name, data, prev)
	}
}

// keepAs makes name the file of the current key.
func (p *inspection) keepAs(name string, files map[string][]byte) {
	if data, ok := files[name]; !ok || !bytes.Equal(data, p.found.data) {
		p.restore = name
	}
	p.found.ref.Name = name
	p.found.rec.KeyFiles = []FileRef{p.found.ref}
}

// classify decides about one file beside the current key and its predecessor. A
// file is dropped only if it is a copy of a key in hand, or a predecessor no
// record wants any more; everything else is kept, out of the way.
func (s *Store) classify(p *inspection, name string, data []byte, prev string) {
	switch name {
	case prev:
		return
	case p.found.ref.Name:
		if p.restore != "" { // not the key's content: make room
			p.quarantine = append(p.quarantine, name)
		}
		return
	}
	sum := sha(data)
	known := func(r FileRef) bool { return r.Sum == sum }
	copied := p.found.data != nil && (sum == sha(p.found.data) || slices.ContainsFunc(p.found.rec.KeyFiles, known))
	if pr := p.found.rec.Previous; pr != nil {
		copied = copied || slices.ContainsFunc(pr.Files, known)
	}
	superseded := p.found.data != nil && (name == filePrev || name == filePrev+ageSuffix)
	if copied || superseded {
		p.drop = append(p.drop, name)
		return
	}
	p.quarantine = append(p.quarantine, name)
}

// rebuildRecord makes a record for keys that have none, because it was damaged or
// lost. Such keys are unproven. Host keys come back from known_hosts.
func (s *Store) rebuildRecord(id string, p *inspection, files map[string][]byte) {
	rec := Record{Version: recordVersion, VMID: id, Source: "recovered", FetchedAt: s.now()}
	for _, name := range keyNames() {
		data, ok := files[name]
		if !ok {
			continue
		}
		public, usable := s.recognise(name, data)
		ref := FileRef{Name: name, Sum: sha(data)}
		switch {
		case !usable:
			p.quarantine = append(p.quarantine, name)
		case p.found.data == nil:
			p.found = located{ref: ref, data: data}
			rec.PublicKey = public
		case public == rec.PublicKey && public != "":
			p.drop = append(p.drop, name)
		case rec.Previous == nil:
			rec.Previous = &PreviousKey{PublicKey: public, Source: "recovered", Files: []FileRef{ref}}
		default:
			p.quarantine = append(p.quarantine, name)
		}
	}
	if p.found.data == nil && len(p.quarantine) == 0 {
		return
	}
	rec.HostKeys, rec.HostNames = s.knownHostsOf(id)
	p.found.rec, p.has, p.write = rec, true, true
	if p.found.data == nil {
		return
	}
	from := p.found.ref.Name
	p.keepAs(keyNameFor(from), files)
	if p.restore != "" {
		p.drop = append(p.drop, from)
	}
}

// recognise tells whether data is a key. An encrypted one that cannot be
// opened now is taken on trust, without its public half; it is checked when it
// is opened.
func (s *Store) recognise(name string, data []byte) (public string, usable bool) {
	if sealed(name) {
		pem, err := s.decryptQuietly(data)
		if err != nil {
			return "", KindOf(err) == KindSealed && looksSealed(data)
		}
		data = pem
	}
	public, err := s.o.ParseKey(data)
	return public, err == nil
}

// keyNameFor returns the current key's name with the encryption of name.
func keyNameFor(name string) string {
	if sealed(name) {
		return fileKey + ageSuffix
	}
	return fileKey
}

// forgetKey empties the fields that describe the current key.
func (r *Record) forgetKey() {
	r.PublicKey, r.Source, r.KeyFiles = "", "", nil
	r.FetchedAt, r.ProvedAt, r.ReportedAt, r.RefusedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
}
