package keystore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// recoverAll cleans up behind killed writers. Markers of a lock that somebody
// holds are left to its holder. Nothing here stops the start: a read-only disk
// must still be readable.
func (s *Store) recoverAll() {
	done := map[string]bool{}
	for _, m := range s.markers() {
		lock, _, _ := strings.Cut(m, "~")
		if done[lock] || !validName(lock) {
			continue
		}
		done[lock] = true
		unlock, err := s.lock(context.Background(), lock, false)
		if err != nil {
			continue
		}
		(&tx{s: s, lock: lock}).recoverOwn()
		unlock()
	}
}

// markers lists pending/, which is nearly always empty.
func (s *Store) markers() []string {
	d, err := os.Open(s.path("pending"))
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return names
}

// recoverOwn tidies the folders that markers of t's lock name. Its failures are
// at most a warning: they must not keep anybody from writing elsewhere.
func (t *tx) recoverOwn() {
	for _, m := range t.s.markers() {
		rel, ok := strings.CutPrefix(m, t.lock+"~")
		if !ok {
			continue
		}
		rel = filepath.FromSlash(strings.ReplaceAll(rel, "~", "/"))
		if !filepath.IsLocal(rel) {
			continue
		}
		own := &tx{s: t.s, lock: t.lock, durable: true}
		if err := own.recoverFolder(rel); err != nil {
			t.s.warnLeftover(err)
			continue
		}
		own.unmark()
		if err := discard(t.s.path("pending", m)); err != nil {
			t.s.warnLeftover(err)
		}
	}
}

// warnLeftover says, once, that something was left lying. On a full or read-only
// disk it matters to nobody: reading goes on, and what cannot be written says
// so itself.
func (s *Store) warnLeftover(err error) {
	if k := KindOf(err); k != KindFull && k != KindReadOnly {
		s.leftovers.Do(func() { s.warn("cleaning up after an interrupted write: " + err.Error()) })
	}
}

// recoverFolder brings the folder rel into order after a writer was killed in it.
func (t *tx) recoverFolder(rel string) error {
	if err := t.sweep(rel); err != nil {
		return err
	}
	id := filepath.Base(rel)
	if t.lock != lockKeys || filepath.Dir(rel) != "keys" || !validID(id) {
		return nil
	}
	if _, err := t.repair(id); err != nil && !IsNotFound(err) {
		return err
	}
	return t.refreshKnownHosts(id)
}

// sweep removes temporary files of t's lock from rel. In keys/ they may be
// whole folders: VMs whose removal was interrupted.
func (t *tx) sweep(rel string) error {
	dir := t.s.path(rel)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return ioError("clean up", dir, err)
	}
	for _, e := range entries {
		if !isTemp(e.Name(), t.lock) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return ioError("clean up", dir, err)
		}
	}
	return nil
}
