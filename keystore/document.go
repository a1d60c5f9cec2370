package keystore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Doc is one small file in the profile's folder that belongs to another
// package, named <name>.json.
type Doc struct {
	s        *Store
	rel      string // relative to the store
	lock     string
	name     string
	volatile bool
	err      error // the name is not usable
}

// Doc returns the document name (a-z, 0-9, '-', '_', '.'). The store's own
// documents are taken. A bad name makes every method return KindInvalid.
func (s *Store) Doc(name string) *Doc {
	d := s.doc(name)
	if !validName(name) || slices.Contains([]string{"store", "inventory", "gone", "endpoint", "removed"}, name) {
		d.err = invalid("open document", "%.40q cannot be a document's name", name)
	}
	return d
}

func (s *Store) doc(name string) *Doc {
	return &Doc{s: s, rel: name + ".json", lock: "doc." + name, name: name}
}

// Volatile returns a Doc whose writes are atomic but not synced: a power cut
// may bring an older state back. For what is written often and cheap to lose.
func (d *Doc) Volatile() *Doc {
	c := *d
	c.volatile = true
	return &c
}

// Read returns the content, without waiting for writers. KindNotFound if the
// document was never written.
func (d *Doc) Read() ([]byte, error) {
	if d.err != nil {
		return nil, d.err
	}
	return readShown("read "+d.name, d.s.path(d.rel), maxDoc)
}

// Update replaces the content under the document's lock, durably. fn gets the
// present content, nil if there is none, or none that can be used: a file of
// the wrong type, mode or owner is set aside. When it returns nil or the same
// bytes, nothing is written; its error is returned as it is.
func (d *Doc) Update(ctx context.Context, fn func(old []byte) ([]byte, error)) error {
	if d.err != nil {
		return d.err
	}
	return d.s.exclusive(ctx, d.lock, func(t *tx) error {
		t.durable = !d.volatile
		old, bad := d.Read()
		if bad != nil && !IsNotFound(bad) && !unusable(bad) {
			return bad
		}
		next, err := fn(old)
		if err != nil || next == nil || old != nil && bytes.Equal(old, next) {
			return err
		}
		if unusable(bad) {
			if err := t.setAside(d.rel, bad); err != nil {
				return err
			}
		}
		return t.put(d.rel, next)
	})
}

// remove deletes the document; a missing one is fine.
func (d *Doc) remove(ctx context.Context) error {
	if d.err != nil {
		return d.err
	}
	if _, err := os.Lstat(d.s.path(d.rel)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return d.s.exclusive(ctx, d.lock, func(t *tx) error { return t.remove(d.rel) })
}

// Folder is a folder with one file per document, such as a journal.
type Folder struct {
	s    *Store
	name string
	err  error
}

// Folder returns the folder name. The names of the store's own folders are
// taken.
func (s *Store) Folder(name string) *Folder {
	f := &Folder{s: s, name: name}
	taken := []string{"keys", "locks", "pending", "damaged"}
	if !validName(name) || slices.Contains(taken, name) || strings.HasSuffix(name, ".json") {
		f.err = invalid("open folder", "%.40q cannot be a folder's name", name)
	}
	return f
}

// doc is one document of the folder. All share one lock.
func (f *Folder) doc(name string) *Doc {
	d := &Doc{
		s: f.s, rel: filepath.Join(f.name, name+".json"), lock: "folder." + f.name,
		name: f.name + "/" + name, err: f.err,
	}
	if d.err == nil && !validName(name) {
		d.err = invalid("open document", "%.40q cannot be a document's name", name)
	}
	return d
}

// Names lists the documents, sorted; none if the folder does not exist.
func (f *Folder) Names() ([]string, error) {
	if f.err != nil {
		return nil, f.err
	}
	entries, err := os.ReadDir(f.s.path(f.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, ioError("list "+f.name, f.s.path(f.name), err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && validName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Read returns one document; KindNotFound if there is none.
func (f *Folder) Read(name string) ([]byte, error) { return f.doc(name).Read() }

// Write replaces one document durably.
func (f *Folder) Write(ctx context.Context, name string, data []byte) error {
	return f.doc(name).Update(ctx, func([]byte) ([]byte, error) { return data, nil })
}

// Remove deletes one document; a missing one is fine.
func (f *Folder) Remove(ctx context.Context, name string) error { return f.doc(name).remove(ctx) }
