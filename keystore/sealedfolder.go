package keystore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// sealedPrefix begins the name of every folder whose documents are kept as the
// keys are: encrypted, when the store is.
const sealedPrefix = "sealed-"

// SealedFolder is a folder of documents that are encrypted when the store is,
// to the same recipients.
type SealedFolder struct{ f *Folder }

// Sealed returns the folder name, which is not the one that Folder returns.
func (s *Store) Sealed(name string) *SealedFolder {
	return &SealedFolder{s.Folder(sealedPrefix + name)}
}

// Read returns one document; KindNotFound if there is none, KindSealed if
// nothing at hand opens it. A person may be asked for the passphrase.
func (f *SealedFolder) Read(name string) ([]byte, error) {
	data, err := f.f.Read(name)
	if err != nil || !looksSealed(data) {
		return data, err
	}
	return f.f.s.decrypt(f.f.s.path(f.f.doc(name).rel), data)
}

// Has reports whether there is a document, which it does not open.
func (f *SealedFolder) Has(name string) bool {
	_, err := os.Lstat(f.f.s.path(f.f.doc(name).rel))
	return err == nil
}

// Update replaces one document as Doc.Update does; one that is damaged is as
// good as none. It asks nobody: KindSealed if the present content could only be
// read with a passphrase that was not given yet.
func (f *SealedFolder) Update(ctx context.Context, name string, fn func(old []byte) ([]byte, error)) error {
	return f.f.doc(name).Update(ctx, func(old []byte) ([]byte, error) {
		plain, err := f.quietly(old)
		if err != nil && KindOf(err) != KindDamaged {
			return nil, err
		}
		next, err := fn(plain)
		if err != nil || next == nil || old != nil && bytes.Equal(plain, next) {
			return nil, err
		}
		target, err := f.f.s.target()
		if err != nil {
			return nil, err
		}
		data, _, err := target.seal(name, next)
		return data, err
	})
}

// Remove deletes one document; a missing one is fine.
func (f *SealedFolder) Remove(ctx context.Context, name string) error { return f.f.Remove(ctx, name) }

func (f *SealedFolder) quietly(data []byte) ([]byte, error) {
	if !looksSealed(data) {
		return data, nil
	}
	return f.f.s.decryptQuietly(data)
}

// convertSealed brings every sealed folder to target. A document that nothing
// at hand opens is removed: there is nothing in such a folder that cannot be
// had again, and nobody could read it any more.
func (s *Store) convertSealed(ctx context.Context, target target) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioError("list folders", s.dir, err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), sealedPrefix) || !e.IsDir() {
			continue
		}
		f := SealedFolder{s.Folder(e.Name())}
		names, err := f.f.Names()
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := f.convert(ctx, name, target); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f SealedFolder) convert(ctx context.Context, name string, target target) error {
	err := f.f.doc(name).Update(ctx, func(old []byte) ([]byte, error) {
		plain, err := f.quietly(old)
		if err != nil {
			return nil, err
		}
		data, _, err := target.seal(name, plain)
		return data, err
	})
	if kind := KindOf(err); kind == KindSealed || kind == KindDamaged {
		return f.Remove(ctx, name)
	}
	return err
}
