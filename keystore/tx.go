package keystore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// tx is one exclusive piece of writing: a lock is held, and every folder that
// gets temporary files has its marker in pending/.
type tx struct {
	s       *Store
	lock    string
	durable bool
	marks   []string // marker files of this tx
}

// lockKeys guards keys, records and known_hosts.
const lockKeys = "keys"

// exclusive runs fn under a lock. When fn fails, the folders it wrote to are
// tidied up, now or, where that fails too, by the next holder of the lock.
// Waiting for the lock ends
// with ctx, or after lockTimeout when ctx has no deadline of its own.
func (s *Store) exclusive(ctx context.Context, lock string, fn func(*tx) error) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lockTimeout)
		defer cancel()
	}
	unlock, err := s.lock(ctx, lock, true)
	if err != nil {
		return err
	}
	defer unlock()
	t := &tx{s: s, lock: lock, durable: true}
	t.recoverOwn()
	if err := fn(t); err != nil {
		t.recoverOwn()
		return err
	}
	t.unmark()
	return nil
}

// keysTx is exclusive for keys and records.
func (s *Store) keysTx(fn func(*tx) error) error {
	return s.exclusive(context.Background(), lockKeys, func(t *tx) error {
		if err := s.checkWritable(); err != nil {
			return err
		}
		return fn(t)
	})
}

// mark announces that temporary files may appear in rel, a folder relative to
// the store, and creates the folder.
func (t *tx) mark(rel string) error {
	name := t.lock + "~" + strings.ReplaceAll(filepath.ToSlash(rel), "/", "~")
	path := t.s.path("pending", name)
	for _, m := range t.marks {
		if m == path {
			return nil
		}
	}
	if err := t.s.makeFolders(t.s.path("pending")); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return ioError("write", path, err)
	}
	if err := f.Close(); err != nil {
		return ioError("write", path, err)
	}
	t.marks = append(t.marks, path)
	return t.s.makeFolders(t.s.path(rel))
}

// unmark takes the markers away. A marker that stays costs a look later.
func (t *tx) unmark() {
	for _, m := range t.marks {
		if err := discard(m); err != nil {
			t.s.warnLeftover(err)
		}
	}
	t.marks = nil
}

// stage is the package's stage after marking the folder. rel is relative to
// the store.
func (t *tx) stage(rel string, data []byte) (staged, error) {
	if err := t.mark(filepath.Dir(rel)); err != nil {
		return staged{}, err
	}
	return stage(t.lock, t.s.path(rel), data, t.durable)
}

// sync makes the entries of the folder rel durable.
func (t *tx) sync(rel string) error {
	if !t.durable {
		return nil
	}
	return syncFolder(t.s.path(rel))
}

// put writes one file durably.
func (t *tx) put(rel string, data []byte) error {
	st, err := t.stage(rel, data)
	if err != nil {
		return err
	}
	if err := st.commit(); err != nil {
		return err
	}
	return t.sync(filepath.Dir(rel))
}

// remove deletes one file durably; a missing one is fine.
func (t *tx) remove(rel string) error {
	err := os.Remove(t.s.path(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return ioError("remove", t.s.path(rel), err)
	}
	return t.sync(filepath.Dir(rel))
}
