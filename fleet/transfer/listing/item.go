package listing

import (
	"io/fs"
	"math"
	"path"
	"strings"
	"time"
)

// Item is one thing that the VM listed. Its name has passed
// dest.CheckName.
type Item struct {
	Root   *Root
	Sub    string // below the root; "" is the root itself
	Kind   byte   // 'f' file, 'd' folder, 'l' symlink, anything else is special
	Mode   uint32 // permission bits only
	Size   int64
	Mtime  int64 // ns since 1970
	Coarse bool  // Mtime has whole seconds only
	Dev    uint64
	Ino    uint64
	Nlink  uint64
	Blocks int64 // of 512 bytes; -1 unknown
	Target string
}

// Special tells that it is a device, FIFO or socket.
func (it *Item) Special() bool { return it.Kind != 'f' && it.Kind != 'd' && it.Kind != 'l' }

// Root is one of the paths asked for.
type Root struct {
	Asked  string // as the user wrote it
	Remote string // begins with / or ./ (or is "." or "/")
	Land   string // where it lands below Dest; "" = Dest itself
	Depth  Depth
}

// Depth is how deep a root is listed.
type Depth byte

// The depths.
const (
	All   Depth = iota
	Only        // the root alone
	Level       // the root and what is in it
)

// NewRoot places a path asked for.
func NewRoot(asked string) *Root {
	p := asked
	contents := strings.HasSuffix(p, "/")
	p = strings.TrimRight(p, "/")
	switch {
	case p == "" && contents:
		return &Root{Asked: asked, Remote: "/"}
	case p == "~" || p == "":
		return &Root{Asked: asked, Remote: "."}
	case strings.HasPrefix(p, "~/"):
		p = "./" + strings.TrimLeft(p[2:], "/")
	case !strings.HasPrefix(p, "/"):
		p = "./" + p
	}
	base := path.Base(p)
	if contents || base == "." || base == ".." {
		base = ""
	}
	return &Root{Asked: asked, Remote: p, Land: base}
}

// arg is how listScript takes it.
func (r *Root) arg() string { return string("a01"[r.Depth]) + r.Remote }

// Rel is where the item lands below Dest, with slashes. "" is Dest itself.
func (it *Item) Rel() string {
	if it.Sub == "" {
		if it.Root.Land == "" && it.Kind != 'd' {
			return path.Base(it.Root.Remote) // a trailing slash on a file
		}
		return it.Root.Land
	}
	if it.Root.Land == "" {
		return it.Sub
	}
	return it.Root.Land + "/" + it.Sub
}

// Remote is the item's name on the VM.
func (it *Item) Remote() string {
	if it.Sub == "" {
		return it.Root.Remote
	}
	if strings.HasSuffix(it.Root.Remote, "/") {
		return it.Root.Remote + it.Sub
	}
	return it.Root.Remote + "/" + it.Sub
}

// Perm is the mode that a file or folder gets here: setuid, setgid and sticky
// never travel.
func (it *Item) Perm() fs.FileMode { return fs.FileMode(it.Mode & 0o777) }

// ModTime is when it was changed.
func (it *Item) ModTime() time.Time { return TimeOf(it.Mtime) }

// farSec is the last second, of 2262, that ns since 1970 can tell, and less than
// nothing the first, of 1677. What was changed later, or earlier, counts as changed
// then, here and there.
const farSec = math.MaxInt64 / 1_000_000_000

// Ns is a time in ns since 1970.
func Ns(t time.Time) int64 {
	switch {
	case t.Unix() >= farSec:
		return farSec * 1e9
	case t.Unix() < -farSec:
		return -farSec * 1e9
	}
	return t.UnixNano()
}

// IsFar tells whether the item was changed at a time that it cannot hold.
func (it *Item) IsFar() bool { return it.Mtime >= farSec*1e9 || it.Mtime <= -farSec*1e9 }

// TimeOf is the time of ns since 1970.
func TimeOf(ns int64) time.Time { return time.Unix(0, ns) }

// Sparse tells whether a good part of the file is holes.
func (it *Item) Sparse() bool {
	return it.Blocks >= 0 && it.Size > 64<<10 && it.Blocks*512 < it.Size-it.Size/8
}

// SameTime compares a time here with the item's as finely as both sides know it.
func (it *Item) SameTime(t time.Time) bool {
	t = TimeOf(Ns(t))
	if it.Coarse {
		return t.Unix() == it.ModTime().Unix()
	}
	if t.UnixNano() == it.Mtime {
		return true
	}
	// A file system here may keep less: microseconds, 100 ns, or two seconds.
	for _, grain := range []time.Duration{100, time.Microsecond, time.Second, 2 * time.Second} {
		if t.UnixNano()%int64(grain) == 0 && t.Equal(it.ModTime().Truncate(grain)) {
			return true
		}
	}
	return false
}

// TarSize is about how much of a stream of tar the file takes, bytes.
func (it *Item) TarSize() int64 {
	if it.Sparse() {
		return it.Blocks*512 + 512
	}
	return it.Size + 512
}

// DiskSize is what a file needs on the disk, as it was listed, bytes.
func (it *Item) DiskSize() int64 {
	if it.Sparse() {
		return it.Blocks * 512
	}
	return it.Size
}
