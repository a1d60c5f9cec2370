package keystore

import (
	"context"
	"errors"
	"fmt"
)

// oneConversion runs fn, an Encrypt, Decrypt or Rekey, unless another one is running:
// two at a time could each drop the identity that the other one encrypts to.
func (s *Store) oneConversion(ctx context.Context, fn func(config) error) error {
	unlock, err := s.lock(ctx, "crypt", false)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := s.readConfig()
	if err != nil {
		return err
	}
	return fn(c)
}

// convertAll brings every VM to c, one at a time. identity is what
// identity.age holds in the end; nil leaves it as it is in passphrase mode and
// removes it in the others.
func (s *Store) convertAll(ctx context.Context, c config, identity []byte, progress func(done, total int)) error {
	target, err := newTarget(c.Recipients)
	if err != nil {
		return err
	}
	if err := s.checkOpenable(target); err != nil {
		return err
	}
	c.Changing = true
	if err := s.keysTx(func(t *tx) error { return t.putConfig(c) }); err != nil {
		return err
	}
	ids, err := s.IDs()
	if err != nil {
		return err
	}
	var failed []error
	for i, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.convert(id, target); err != nil {
			failed = append(failed, fmt.Errorf("VM %s: %w", id, err))
		}
		if progress != nil {
			progress(i+1, len(ids))
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	if err := s.convertSealed(ctx, target); err != nil {
		return err
	}
	return s.keysTx(func(t *tx) error { return t.finish(c, identity) })
}

// checkOpenable fails, before anything has changed, when there are sealed keys to be
// converted and none of them can be opened.
func (s *Store) checkOpenable(target target) error {
	ids, err := s.IDs()
	if err != nil {
		return err
	}
	var failed error
	for _, id := range ids {
		l, err := s.current(id)
		if err != nil || !target.needs(l.ref) {
			continue
		}
		if _, err = s.unseal(id, l); err == nil {
			return nil
		}
		if KindOf(err) == KindSealed && failed == nil { // a damaged key is told later, by its VM
			failed = err
		}
	}
	return failed
}

// finish marks the change as complete, after the last key that needed an old
// identity is gone.
func (t *tx) finish(c config, identity []byte) error {
	c.Changing = false
	if err := t.putConfig(c); err != nil {
		return err
	}
	switch {
	case c.Mode != modePassphrase:
		return t.remove(fileIdentity)
	case identity != nil:
		return t.put(fileIdentity, identity)
	}
	return nil
}

// convert brings one VM's files to target. The slow part, asking for the
// identity, happens before the lock.
func (s *Store) convert(id string, target target) error {
	if l, err := s.current(id); err == nil && target.needs(l.ref) {
		if _, err := s.unseal(id, l); err != nil {
			return err
		}
	}
	return s.keysTx(func(t *tx) error { return t.convert(id, target) })
}

// needs tells whether a file has to be written anew.
func (g target) needs(ref FileRef) bool {
	return sealed(ref.Name) != (g.recipients != nil) || ref.To != g.to
}

func (t *tx) convert(id string, target target) error {
	old, err := t.locateOrRepair(id)
	if IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if old.rec.Version > recordVersion {
		return newer(t.s.path(vmDir(id), fileRecord))
	}
	c := &conversion{s: t.s, id: id, target: target}
	next := old.rec.clone()
	if p := next.Previous; p != nil {
		if data, ref, err := t.s.findFile(id, p.Files, nil); err == nil {
			p.Files = c.add(filePrev, located{old.rec.rolledBack(old.rec.Previous), ref, data}, p.Files)
		}
	}
	next.KeyFiles = c.add(fileKey, old, next.KeyFiles)
	if c.err != nil {
		return c.err
	}
	if len(c.files) > 0 {
		if err := c.write(t, next); err != nil {
			return err
		}
	}
	_, err = t.repair(id) // takes the copies of the old kind away
	return err
}

// conversion collects the files of one VM in their new kind.
type conversion struct {
	s      *Store
	id     string
	target target
	files  []newFile
	err    error
}

type newFile struct {
	name string
	data []byte
}

// add seals a key anew if needed and returns the references the record has to
// list: the new file and the one it replaces.
func (c *conversion) add(name string, l located, refs []FileRef) []FileRef {
	if c.err != nil || !c.target.needs(l.ref) {
		return refs
	}
	var pem, data []byte
	var ref FileRef
	if pem, c.err = c.s.unseal(c.id, l); c.err != nil {
		return refs
	}
	if data, ref, c.err = c.target.seal(name, pem); c.err != nil {
		return refs
	}
	c.files = append(c.files, newFile{ref.Name, data})
	return []FileRef{ref, l.ref}
}

// write makes the record that lists old and new files durable, then the files.
func (c *conversion) write(t *tx, next Record) error {
	b := &batch{t: t, id: c.id}
	defer b.discard()
	if err := b.addRecord(next); err != nil {
		return err
	}
	for _, f := range c.files {
		if err := b.add(f.name, f.data); err != nil {
			return err
		}
	}
	return b.commit(1)
}
