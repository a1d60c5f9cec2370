package dest

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
)

// maxOpenDirs bounds the folders kept open at once, two descriptors each: many
// pulls may run side by side.
const maxOpenDirs = 64

// dirCache keeps folders of the destination open: opening each path from the
// top for every file would cost more than writing small files. Safe for
// concurrent use.
type dirCache struct {
	top  *os.Root
	mu   sync.Mutex
	open map[string]*dirHandle
}

// dirHandle is an open folder. Its folder was reached without following a
// symlink.
type dirHandle struct {
	c    *dirCache
	r    *os.Root
	f    *os.File // the same folder, for renames relative to it
	fd   int      // its descriptor
	refs int
	gone bool // no longer in the cache; closed with the last release
}

func newDirCache(top *os.Root) *dirCache {
	return &dirCache{top: top, open: map[string]*dirHandle{}}
}

// get opens the folder rel ("" is the top); the caller releases it.
func (c *dirCache) get(rel string, create bool) (*dirHandle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.getLocked(rel, create)
}

func (c *dirCache) getLocked(rel string, create bool) (*dirHandle, error) {
	if h, ok := c.open[rel]; ok {
		h.refs++
		return h, nil
	}
	r, err := c.openLocked(rel, create)
	if err != nil {
		return nil, err
	}
	f, err := r.Open(".")
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	c.evictLocked()
	h := &dirHandle{c: c, r: r, f: f, fd: descriptor(f), refs: 1}
	c.open[rel] = h
	return h, nil
}

func (c *dirCache) openLocked(rel string, create bool) (*os.Root, error) {
	if rel == "" {
		return c.top.OpenRoot(".")
	}
	dir, base := path.Split(rel)
	up, err := c.getLocked(strings.TrimSuffix(dir, "/"), create)
	if err != nil {
		return nil, err
	}
	defer up.releaseLocked()
	if create {
		if _, err := up.mkdir(base); err != nil {
			return nil, err
		}
	} else if fi, err := up.r.Lstat(base); err != nil {
		return nil, err
	} else if !fi.IsDir() {
		return nil, ErrInTheWay
	}
	return up.r.OpenRoot(base)
}

// mkdir makes a folder in h, or is content with one that is there.
func (h *dirHandle) mkdir(base string) (made bool, err error) {
	fi, err := h.r.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		err = h.r.Mkdir(base, 0o777)
		if errors.Is(err, fs.ErrPermission) && h.makeWritable() {
			err = h.r.Mkdir(base, 0o777)
		}
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	if !fi.IsDir() {
		return false, ErrInTheWay
	}
	return false, nil
}

// makeWritable lets the owner write into a folder whose mode (as on the VM)
// forbids it; the mode is set again at the end.
func (h *dirHandle) makeWritable() bool {
	fi, err := h.f.Stat()
	return err == nil && fi.Mode().Perm()&0o300 != 0o300 && h.f.Chmod(fi.Mode().Perm()|0o700) == nil
}

func (h *dirHandle) release() {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.releaseLocked()
}

func (h *dirHandle) releaseLocked() {
	if h.refs--; h.refs == 0 && h.gone {
		h.shut()
	}
}

func (h *dirHandle) shut() {
	_ = h.f.Close()
	_ = h.r.Close()
}

// evictLocked makes room. Any idle folder will do: a listing comes folder by
// folder, so the one in use is rarely hit, and if so it is opened again.
func (c *dirCache) evictLocked() {
	for rel, h := range c.open {
		if len(c.open) < maxOpenDirs {
			return
		}
		if h.refs == 0 {
			delete(c.open, rel)
			h.shut()
		}
	}
}

func (c *dirCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rel, h := range c.open {
		delete(c.open, rel)
		h.gone = true
		if h.refs == 0 {
			h.shut()
		}
	}
}

// forgetBelow drops a folder and those in it from the cache.
func (c *dirCache) forgetBelow(rel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, h := range c.open {
		if name != rel && !strings.HasPrefix(name, path.Clean(rel)+"/") {
			continue
		}
		delete(c.open, name)
		h.gone = true
		if h.refs == 0 {
			h.shut()
		}
	}
}
