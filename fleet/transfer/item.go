package transfer

import (
	"io/fs"
	"path"
	"strings"
	"time"
)

// item is one thing that the VM listed. It has passed checkName.
type item struct {
	root   *root
	sub    string // below the root; "" is the root itself
	kind   byte   // 'f' file, 'd' folder, 'l' symlink, anything else is special
	mode   uint32 // permission bits only
	size   int64
	mtime  int64 // ns since 1970
	coarse bool  // mtime has whole seconds only
	dev    uint64
	ino    uint64
	nlink  uint64
	blocks int64 // of 512 bytes; -1 unknown
	target string
}

// root is one of the paths asked for.
type root struct {
	asked  string // as the user wrote it
	remote string // begins with / or ./ (or is "." or "/")
	land   string // where it lands below Dest; "" = Dest itself
}

// newRoot places a path asked for.
func newRoot(asked string) *root {
	p := asked
	contents := strings.HasSuffix(p, "/")
	p = strings.TrimRight(p, "/")
	switch {
	case p == "" && contents:
		return &root{asked: asked, remote: "/"}
	case p == "~" || p == "":
		return &root{asked: asked, remote: "."}
	case strings.HasPrefix(p, "~/"):
		p = "./" + strings.TrimLeft(p[2:], "/")
	case !strings.HasPrefix(p, "/"):
		p = "./" + p
	}
	base := path.Base(p)
	if contents || base == "." || base == ".." {
		base = ""
	}
	return &root{asked: asked, remote: p, land: base}
}

// rel is where the item lands below Dest, with slashes. "" is Dest itself.
func (it *item) rel() string {
	if it.sub == "" {
		if it.root.land == "" && it.kind != 'd' {
			return path.Base(it.root.remote) // a trailing slash on a file
		}
		return it.root.land
	}
	if it.root.land == "" {
		return it.sub
	}
	return it.root.land + "/" + it.sub
}

// remote is the item's name on the VM.
func (it *item) remote() string {
	if it.sub == "" {
		return it.root.remote
	}
	if strings.HasSuffix(it.root.remote, "/") {
		return it.root.remote + it.sub
	}
	return it.root.remote + "/" + it.sub
}

// perm is the mode that a file or folder gets here: setuid, setgid and sticky
// never travel.
func (it *item) perm() fs.FileMode { return fs.FileMode(it.mode & 0o777) }

func (it *item) modTime() time.Time { return timeOf(it.mtime) }

func timeOf(ns int64) time.Time { return time.Unix(0, ns) }

// sparse tells whether a good part of the file is holes.
func (it *item) sparse() bool {
	return it.blocks >= 0 && it.size > 64<<10 && it.blocks*512 < it.size-it.size/8
}

// sameTime compares a time here with the item's as finely as both sides know it.
func (it *item) sameTime(t time.Time) bool {
	if it.coarse {
		return t.Unix() == it.modTime().Unix()
	}
	if t.UnixNano() == it.mtime {
		return true
	}
	// A file system here may keep less: microseconds, 100 ns, or two seconds.
	for _, grain := range []time.Duration{100, time.Microsecond, time.Second, 2 * time.Second} {
		if t.UnixNano()%int64(grain) == 0 && t.Equal(it.modTime().Truncate(grain)) {
			return true
		}
	}
	return false
}

// wire is about how much of a stream of tar the file takes, bytes.
func (it *item) wire() int64 {
	if it.sparse() {
		return it.blocks*512 + 512
	}
	return it.size + 512
}

// entry is the receipt's line.
func (it *item) entry(t Type) Entry {
	return Entry{Path: it.rel(), Type: t, Size: it.size, Mode: it.perm(), ModTime: it.modTime(), Target: it.target}
}
