package keystore

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"time"
)

// Remove deletes everything recorded about a VM, its key included. It and
// Prune are the only ways to lose a key. That it was removed is remembered, so
// that no older bundle brings it back; the API may. KindNotFound if nothing is
// recorded.
func (s *Store) Remove(id string) error {
	if err := checkID("remove key", id); err != nil {
		return err
	}
	return s.keysTx(func(t *tx) error { return t.removeVM(id) })
}

// removeVM takes the folder out of the way in one step, then deletes it.
func (t *tx) removeVM(id string) error {
	if rec, err := t.s.readRecord(id); err == nil && rec.Version > recordVersion {
		return newer(t.s.path(vmDir(id), fileRecord))
	}
	dir := t.s.path(vmDir(id))
	if _, err := os.Lstat(dir); err != nil {
		return ioError("remove key", dir, err)
	}
	for _, rel := range []string{"keys", vmDir(id)} {
		if err := t.mark(rel); err != nil {
			return err
		}
	}
	gone := t.s.path("keys", tempName(t.lock, id))
	if err := os.Rename(dir, gone); err != nil {
		return ioError("remove key", dir, err)
	}
	if err := t.sync("keys"); err != nil {
		return err
	}
	if err := os.RemoveAll(gone); err != nil {
		return ioError("remove key", dir, err)
	}
	if err := t.sync("keys"); err != nil {
		return err
	}
	if err := t.noteRemoval(id); err != nil { // last, and not vital: removing must work on a full disk
		t.s.warn("the VM is removed, but a bundle may bring it back: " + err.Error())
	}
	return t.refreshKnownHosts(id)
}

// fileRemoved says when which VM was removed: {"<vm id>": time}.
const fileRemoved = "removed.json"

// maxRemovals is how many removals are remembered, the latest ones.
const maxRemovals = 10_000

// removals reads fileRemoved. What cannot be read remembers nothing, and is
// told by Check: a list of what is not wanted must not stop anybody.
func (s *Store) removals() (map[string]time.Time, error) {
	data, err := readShown("read removals", s.path(fileRemoved), maxDoc)
	if IsNotFound(err) {
		return nil, nil
	}
	var at map[string]time.Time
	if err == nil && json.Unmarshal(data, &at) != nil {
		err = &Error{Kind: KindDamaged, Op: "read removals", Path: s.path(fileRemoved), Why: "it is not what was written"}
	}
	return at, err
}

func (t *tx) noteRemoval(id string) error {
	at, err := t.s.removals()
	if unusable(err) {
		err = t.setAside(fileRemoved, err)
	}
	if err != nil {
		return err
	}
	if at == nil {
		at = map[string]time.Time{}
	}
	at[id] = t.s.now()
	if len(at) > maxRemovals {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(at)), func(a, b string) int { return at[a].Compare(at[b]) })
		delete(at, oldest)
	}
	return t.putRemovals(at)
}

// liftRemoval forgets that a VM was removed, because it is back.
func (t *tx) liftRemoval(id string) error {
	at, err := t.s.removals()
	if _, removed := at[id]; err != nil || !removed {
		return nil
	}
	delete(at, id)
	return t.putRemovals(at)
}

func (t *tx) putRemovals(at map[string]time.Time) error {
	data, err := json.Marshal(at)
	if err != nil {
		return invalid("write removals", "%v", err)
	}
	return t.put(fileRemoved, data)
}

// Prune removes the VMs whose tombstone is older than olderThan and returns
// their ids, also when it fails half-way.
func (s *Store) Prune(olderThan time.Duration) ([]string, error) {
	recs, _, err := s.Records()
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, r := range recs {
		if r.GoneAt.IsZero() || s.now().Sub(r.GoneAt) < olderThan {
			continue
		}
		if err := s.Remove(r.VMID); err != nil {
			return removed, err
		}
		removed = append(removed, r.VMID)
	}
	return removed, nil
}

// MarkGone takes the ids that the API lists, in a well-formed and authorised
// answer, and puts a tombstone on every other VM of the store; one that is
// listed again loses its tombstone. Nothing else changes: a gone VM's key
// still works. Only VMs whose state changes are written.
func (s *Store) MarkGone(listed []string, at time.Time) error {
	ids, err := s.IDs()
	if err != nil || len(ids) == 0 {
		return err
	}
	alive := make(map[string]bool, len(listed))
	for _, id := range listed {
		alive[id] = true
	}
	index := s.doc("gone")
	marked, indexed, err := s.marked(index, ids)
	if err != nil {
		return err
	}
	now := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return alive[id] })
	if indexed && slices.Equal(now, marked) {
		return nil
	}
	was := make(map[string]bool, len(marked))
	for _, id := range marked {
		was[id] = true
	}
	for _, id := range ids {
		if alive[id] != was[id] { // listed and never marked, or gone and marked
			continue
		}
		err := s.UpdateRecord(id, func(r *Record) error { return r.tombstone(alive[id], at) })
		switch KindOf(err) {
		case KindFull, KindReadOnly, KindIO, KindLocked:
			return err
		}
		if err != nil { // this VM's own trouble; the others go on
			s.warn(err.Error())
		}
	}
	return index.Update(context.Background(), func([]byte) ([]byte, error) { return json.Marshal(now) })
}

func (r *Record) tombstone(alive bool, at time.Time) error {
	switch {
	case alive:
		r.GoneAt = time.Time{}
	case r.GoneAt.IsZero():
		r.GoneAt = at.UTC().Truncate(time.Second)
	}
	return nil
}

// marked returns which of all VMs have a tombstone, sorted: from the index, or
// where there is none, or one that names other VMs, from the records.
func (s *Store) marked(index *Doc, all []string) (ids []string, indexed bool, err error) {
	data, err := index.Read()
	foreign := func(id string) bool { _, has := slices.BinarySearch(all, id); return !has }
	if err == nil && json.Unmarshal(data, &ids) == nil && !slices.ContainsFunc(ids, foreign) {
		return ids, true, nil
	}
	recs, _, err := s.Records()
	ids = nil
	for _, r := range recs {
		if !r.GoneAt.IsZero() {
			ids = append(ids, r.VMID)
		}
	}
	return ids, false, err
}
