package keystore

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mendTimeout is how long a reader that met a damaged file waits for writers.
const mendTimeout = 5 * time.Second

// mend is what a reader does about damage: under the lock it looks again, sets
// damaged files aside, and returns what is left. Where the store cannot be
// written, the intact files are used all the same.
func (s *Store) mend(id string) (located, error) {
	ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
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
	if moved, err = t.setAside(id, p.aside); err != nil {
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

// setAside moves files of a VM's folder to damaged/<id>-<time>/.
func (t *tx) setAside(id string, names []string) (string, error) {
	if len(names) == 0 {
		return "", nil
	}
	rel := filepath.Join("damaged", id+"-"+strings.ReplaceAll(t.s.clock().UTC().Format("20060102T150405.000"), ".", "-"))
	if err := t.s.makeFolders(t.s.path(rel)); err != nil {
		return "", err
	}
	for _, name := range names {
		from := t.s.path(vmDir(id), name)
		if err := os.Rename(from, t.s.path(rel, name)); err != nil {
			return "", ioError("set aside", from, err)
		}
	}
	if err := t.sync(rel); err != nil {
		return "", err
	}
	return t.s.path(rel), t.sync(vmDir(id))
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
