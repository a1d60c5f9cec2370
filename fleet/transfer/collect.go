package transfer

import (
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

// collector gathers the summary and sends events. Safe for concurrent use.
type collector struct {
	mu     sync.Mutex
	sum    Summary
	ev     Event // the running totals
	events func(Event)
	logf   func(string, ...any)
	keep   bool                  // the manifest
	marks  func(rel string) bool // which names are notable; nil = none
	last   time.Time
	path   string // what is at work
}

// eventEvery bounds how often byte counts are reported.
const eventEvery = 100 * time.Millisecond

func newCollector(events func(Event), logf func(string, ...any), keep bool) *collector {
	if events == nil {
		events = func(Event) {}
	}
	if logf == nil {
		logf = func(string, ...any) {}
	}
	return &collector{events: events, logf: logf, keep: keep}
}

// update changes the summary under the lock.
func (c *collector) update(fn func(*Summary)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn(&c.sum)
}

func (c *collector) sendLocked(kind EventKind, path, reason string) {
	ev := c.ev
	ev.Kind, ev.Path, ev.Reason = kind, path, reason
	c.events(ev)
}

func (c *collector) send(kind EventKind, path, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sendLocked(kind, path, reason)
}

// fail records something that was not transferred.
func (c *collector) fail(path string, kind FailKind, reason string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.Failed++
	if len(c.sum.Failures) < MaxFailures {
		c.sum.Failures = append(c.sum.Failures, FileError{path, kind, reason, err})
	}
	if c.sum.Failed <= MaxFailures {
		c.sendLocked(EventFailed, path, reason)
	}
}

// deleted records something that was removed.
func (c *collector) deleted(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.Deleted++
	if len(c.sum.Deletions) < MaxFailures {
		c.sum.Deletions = append(c.sum.Deletions, path)
	}
	c.sendLocked(EventDeleted, path, "")
}

// leftOut counts a symlink that leads out of the destination. It is data, not
// an attack on this pull, which never follows it; but whatever reads the
// destination later might.
func (c *collector) leftOut(path, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.Skipped++
	c.sum.Outward++
	if c.sum.Outward <= MaxFailures {
		c.sendLocked(EventSkipped, path, reason)
	}
}

// want adds to what is wanted.
func (c *collector) want(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ev.TotalFiles++
	c.ev.TotalBytes += size
}

// at notes what is at work, for the next event about bytes.
func (c *collector) at(rel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.path = rel
}

// have adds bytes that are here; moved of them came over the network now.
func (c *collector) have(bytes, moved int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ev.Bytes += bytes
	c.sum.Moved += moved
	if now := time.Now(); now.Sub(c.last) >= eventEvery {
		c.last = now
		c.sendLocked(EventProgress, c.path, "")
	}
}

// file records a file that is in place and checked.
func (c *collector) file(it *listing.Item, sha string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.Files++
	c.sum.Bytes += it.Size
	c.ev.Files++
	c.keepLocked(it, TypeFile, sha, true)
	c.path = it.Rel()
	c.sendLocked(EventFile, c.path, "")
}

// same records a file that turned out to be the same after all.
func (c *collector) same(it *listing.Item, sha string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.Unchanged++
	c.ev.TotalFiles--
	c.ev.TotalBytes -= it.Size
	c.keepLocked(it, TypeFile, sha, false)
}

// entry records something else that is in place.
func (c *collector) entry(it *listing.Item, t Type, fetched bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepLocked(it, t, "", fetched)
}

func (c *collector) keepLocked(it *listing.Item, t Type, sha string, fetched bool) {
	if fetched && t != TypeDir && c.marks != nil && c.marks(it.Rel()) && len(c.sum.Notable) < MaxFailures {
		c.sum.Notable = append(c.sum.Notable, it.Rel())
	}
	if !c.keep {
		return
	}
	e := entryOf(it, t)
	e.SHA256, e.Fetched = sha, fetched
	c.sum.Manifest = append(c.sum.Manifest, e)
}

// conns tells how many connections are in use.
func (c *collector) conns(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ev.Conns = n
}

func (c *collector) summary() Summary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// entryOf is the receipt's line about an item.
func entryOf(it *listing.Item, t Type) Entry {
	return Entry{Path: it.Rel(), Type: t, Size: it.Size, Mode: it.Perm(), ModTime: it.ModTime(), Target: it.Target}
}
