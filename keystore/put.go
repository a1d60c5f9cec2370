package keystore

import (
	"path/filepath"
	"time"
)

// KeyInfo says where a key came from.
type KeyInfo struct {
	Source  string // api, import, found:<path>, sibling:<vm id>
	SSHPort int    // 0: unknown
}

// freshFor is for how long a fact that was just recorded is not recorded anew.
const freshFor = 10 * time.Minute

// PutKey records a VM's private key durably; when it returns nil, the key
// survives a crash. changed tells whether the key differs from the recorded
// one, whose file is then kept as the predecessor until the new key has
// worked. A key that cannot be parsed is KindInvalid. Tombstones are lifted.
func (s *Store) PutKey(id string, pem []byte, k KeyInfo) (changed bool, err error) {
	if err := checkID("write key", id); err != nil {
		return false, err
	}
	if len(pem) > maxKey/2 {
		return false, invalid("write key", "the key of VM %s is far too large", id)
	}
	public, err := s.o.ParseKey(pem)
	if err != nil {
		return false, &Error{Kind: KindInvalid, Op: "write key", Why: "what came for VM " + id + " is not a usable private key", Err: err}
	}
	if l, err := s.locate(id); err == nil && !s.changesRecord(l.rec, public, k) {
		return false, nil
	}
	err = s.keysTx(func(t *tx) error {
		var err error
		changed, err = t.putKey(id, pem, public, k)
		return err
	})
	return changed && err == nil, err
}

// changesRecord tells whether a key that came in again changes the record.
func (s *Store) changesRecord(r Record, public string, k KeyInfo) bool {
	return r.PublicKey != public || !r.GoneAt.IsZero() || k.SSHPort != 0 && k.SSHPort != r.SSHPort ||
		k.Source != r.Source && k.Source == "api" || s.now().Sub(r.FetchedAt).Abs() >= freshFor
}

func (t *tx) putKey(id string, pem []byte, public string, k KeyInfo) (changed bool, err error) {
	old, err := t.locateOrRepair(id)
	if err != nil && !IsNotFound(err) {
		return false, err
	}
	if old.rec.Version > recordVersion {
		return false, newer(t.s.path(vmDir(id), fileRecord))
	}
	next := old.rec.clone()
	next.VMID, next.GoneAt, next.FetchedAt = id, time.Time{}, t.s.now()
	if k.SSHPort != 0 {
		next.SSHPort = k.SSHPort
	}
	if k.Source == "api" || next.Source == "" || public != old.rec.PublicKey {
		next.Source = k.Source
	}
	if old.data != nil && old.rec.PublicKey == public {
		if err := t.mark(vmDir(id)); err != nil {
			return false, err
		}
		return false, t.putRecord(next)
	}
	next.PublicKey, next.ProvedAt, next.ReportedAt, next.RefusedAt = public, time.Time{}, time.Time{}, time.Time{}
	if p := old.rec.Previous; p != nil && p.PublicKey == public {
		next.ProvedAt = p.ProvedAt
	}
	if err := t.writeKey(next, old, pem); err != nil {
		return false, err
	}
	if old.rec.VMID == "" {
		return true, t.liftRemoval(id)
	}
	return true, nil
}

// locateOrRepair is locate for a writer.
func (t *tx) locateOrRepair(id string) (located, error) {
	l, err := t.s.locate(id)
	if KindOf(err) != KindDamaged {
		return l, err
	}
	moved, err := t.repair(id)
	if err != nil {
		return located{}, err
	}
	if moved != "" {
		t.s.warn("a damaged file of VM " + id + " was moved to " + moved)
	}
	return t.s.locate(id)
}

// writeKey replaces old by pem. The record goes first and lists both, so at
// every moment some file on disk is the one a reader accepts.
func (t *tx) writeKey(next Record, old located, pem []byte) error {
	target, err := t.s.target()
	if err != nil {
		return err
	}
	data, ref, err := target.seal(fileKey, pem)
	if err != nil {
		return err
	}
	next.KeyFiles = []FileRef{ref}
	prev, err := t.s.supersede(&next, old, target)
	if err != nil {
		return err
	}
	b := &batch{t: t, id: next.VMID}
	defer b.discard()
	if err := b.addRecord(next); err != nil {
		return err
	}
	if prev != nil {
		if err := b.add(next.Previous.Files[0].Name, prev); err != nil {
			return err
		}
	}
	if err := b.add(ref.Name, data); err != nil {
		return err
	}
	if old.rec.VMID == "" {
		return b.commit(0)
	}
	if err := b.commit(len(b.files) - 1); err != nil {
		return err
	}
	_, err = t.repair(next.VMID) // takes superseded copies away
	return err
}

// supersede lists old in the record of the key that takes its place and returns
// the content of the predecessor's file, nil if that stays as it is.
func (s *Store) supersede(next *Record, old located, target target) (prev []byte, err error) {
	next.Replaced = nil
	switch {
	case old.data == nil:
	case keepOlder(old.rec, next.PublicKey):
		next.Replaced = describe(old)
	default:
		prev, next.Previous, err = s.predecessor(old, target)
	}
	if next.previousPublicKey() == next.PublicKey {
		next.Previous = nil
	}
	return prev, err
}

// keepOlder tells whether more speaks for the predecessor in the record than
// for the current key.
func keepOlder(r Record, newPublic string) bool {
	return r.Previous.rank() > r.rank() && r.Previous.PublicKey != newPublic
}

// predecessor turns the current key into the file and the description of a
// predecessor.
func (s *Store) predecessor(old located, target target) ([]byte, *PreviousKey, error) {
	data, ref := old.data, FileRef{Name: filePrev, Sum: old.ref.Sum, To: old.ref.To}
	if sealed(old.ref.Name) {
		ref.Name += ageSuffix
	} else if target.recipients != nil {
		var err error
		if data, ref, err = target.seal(filePrev, old.data); err != nil {
			return nil, nil, err
		}
	}
	p := describe(old)
	p.Files = []FileRef{ref, old.ref}
	return data, p, nil
}

// describe is the current key as it is listed once another one takes its place.
func describe(old located) *PreviousKey {
	return &PreviousKey{
		PublicKey: old.rec.PublicKey, Source: old.rec.Source,
		FetchedAt: old.rec.FetchedAt, ProvedAt: old.rec.ProvedAt, ReportedAt: old.rec.ReportedAt,
		Files: []FileRef{old.ref},
	}
}

func newer(path string) error {
	return &Error{
		Kind: KindNewerVersion, Op: "write", Path: path,
		Why: "it was written by a newer version of this program, and is not changed by this one",
	}
}

// batch is a record and the key files it lists, replaced together.
type batch struct {
	t     *tx
	id    string
	files []staged
	done  int // how many are under their names
}

func (b *batch) add(name string, data []byte) error {
	st, err := b.t.stage(filepath.Join(vmDir(b.id), name), data)
	if err == nil {
		b.files = append(b.files, st)
	}
	return err
}

func (b *batch) addRecord(r Record) error {
	data, err := encodeRecord(r)
	if err != nil {
		return err
	}
	return b.add(fileRecord, data)
}

// commit renames the files in the order they were added. Those before barrier
// are durable before the others go; 0 means that the order does not matter,
// because nothing is replaced.
func (b *batch) commit(barrier int) error {
	for i, f := range b.files {
		if i == barrier && i > 0 {
			if err := b.t.sync(vmDir(b.id)); err != nil {
				return err
			}
		}
		if err := f.commit(); err != nil {
			return err
		}
		b.done++
	}
	return b.t.sync(vmDir(b.id))
}

// discard removes what was not committed.
func (b *batch) discard() {
	for _, f := range b.files[b.done:] {
		if err := discard(f.temp); err != nil {
			b.t.s.warnLeftover(err)
		}
	}
}
