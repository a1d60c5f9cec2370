package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// Conn is one logged-in connection to a VM. A Conn that is also an io.Closer is
// closed if this package dialled it.
type Conn = session.Transport

// NoSession is what a Conn has to fail with when the server opens no further session
// on its connection, because of err.
func NoSession(err error) error { return fmt.Errorf("%w: %w", session.ErrNoSession, err) }

// Remote is the VM's end.
type Remote struct {
	Conn   Conn                                // open; it stays the caller's to close
	Dial   func(context.Context) (Conn, error) // one more connection to the same VM; nil = there is only Conn
	Redial func(context.Context) (Conn, error) // used after a drop; nil = Dial
}

// PullOptions says what to fetch and where to put it. The zero value of each
// field means "no limit" or "no".
type PullOptions struct {
	// Paths on the VM: absolute, relative to the login folder, or ~/...
	// An item lands in Dest under its base name; with a trailing slash its
	// contents land in Dest itself. A named symlink is followed.
	Paths []string
	// Dest is a folder here; it is made if missing.
	Dest string
	// Source names the VM (its id). Data left by a killed pull is taken up
	// again only for the same Source, Paths and Dest.
	Source string

	Include   []string // gitignore patterns: only these files
	Exclude   []string // gitignore patterns: not these; wins over Include
	GitIgnore bool     // heed the .gitignore files on the VM
	MaxSize   int64    // bytes; larger files are skipped
	MaxTotal  int64    // bytes; files beyond this sum are refused
	FreeSpace int64    // bytes that stay free on Dest's file system
	Newer     time.Time

	Delete   bool // remove what is here and not on the VM; never after an incomplete listing
	DryRun   bool // report, change nothing
	Checksum bool // compare content where size and time agree
	Fsync    bool // flush each file; otherwise all at the end
	AllLinks bool // keep symlinks that lead out of Dest too; otherwise they are left out

	Own      []string // files and folders here that are never written to, wherever Dest is (see dest.Options)
	Home     string   // the home folder here, whose dotfiles are left alone
	Dotfiles bool     // those are fetched too
	// Notable tells for which names, below Dest, Summary.Notable is meant.
	Notable func(rel string) bool

	MaxConns     int        // connections at most, 0 = up to 8 as it pays
	ConnsNow     func() int // how many of these may be used now, asked again while it runs; nil = all
	KeepManifest bool       // fill Summary.Manifest (a receipt); costs memory per file

	// Events gets progress, from several goroutines one at a time; byte
	// counts at most ten times a second. It must not block.
	Events func(Event)
	// Logf gets what was chosen and why.
	Logf func(format string, args ...any)

	found func(Difference) // of Diff
}

// Summary tells what a pull or a push did. It is filled as far as things went,
// also beside an error.
type Summary struct {
	Files     int64 // files that are new or changed, in place and checked
	Bytes     int64 // their sizes
	Moved     int64 // content bytes that came over the network, retries included
	Unchanged int64
	Skipped   int64 // left out by a filter, or a socket, FIFO or device
	Special   int64 // of Skipped: sockets, FIFOs, devices
	Outward   int64 // of Skipped: symlinks that lead out of Dest
	Dotfiles  int64 // of Skipped: dotfiles of the home folder here
	Vanished  int64 // gone from the source between listing and reading
	Dirs      int64 // folders made
	Links     int64 // symlinks and hard links made
	Copied    int64 // of Files: further names of a file, of which the file system here allows no more
	Deleted   int64
	Failed    int64 // all failures; Failures holds the first MaxFailures

	Failures []FileError
	// Complete says that the listing was whole: nothing was unreadable.
	Complete bool
	// Verified is "sha256", or "none: why".
	Verified string
	// Method tells how files travelled, for -v.
	Method   string
	Manifest []Entry
	// Deletions are the paths that Delete removed (or would, in a dry run),
	// at most MaxFailures of them.
	Deletions []string
	// Notable are the files and links that arrived (or would) and that
	// PullOptions.Notable tells apart, at most MaxFailures of them.
	Notable []string
}

// MaxFailures bounds the lists in a Summary; the counts go on.
const MaxFailures = 1000

// FailKind classes a FileError.
type FailKind string

// The kinds of FileError.
const (
	FailRefused  FailKind = "refused"  // unsafe or not what was asked for
	FailChanging FailKind = "changing" // does not hold still
	FailRemote   FailKind = "remote"   // the VM cannot read or write it
	FailLocal    FailKind = "local"    // this machine cannot
	FailLimit    FailKind = "limit"    // over MaxTotal or FreeSpace
	FailLost     FailKind = "lost"     // the connection was lost before it came
	FailMissing  FailKind = "missing"  // no such path on the VM
)

// FileError is one thing that was not transferred and why.
type FileError struct {
	Path   string // as it would be named below Dest, or the path asked for; not cleaned for terminals
	Kind   FailKind
	Reason string
	Err    error // may be nil
}

func (e FileError) Error() string { return e.Path + ": " + e.Reason }

// Unwrap returns the cause, if there is one.
func (e FileError) Unwrap() error { return e.Err }

// Type is the type of an Entry.
type Type string

// The types of entries that are transferred.
const (
	TypeFile     Type = "file"
	TypeDir      Type = "dir"
	TypeSymlink  Type = "symlink"
	TypeHardlink Type = "hardlink"
)

// Entry is one line of a receipt: an item that is in place.
type Entry struct {
	Path    string      `json:"path"` // below Dest, with slashes
	Type    Type        `json:"type"`
	Size    int64       `json:"size"`
	Mode    fs.FileMode `json:"mode"` // permission bits
	ModTime time.Time   `json:"mod_time"`
	Target  string      `json:"target,omitempty"` // of a link
	SHA256  string      `json:"sha256,omitempty"` // hex; empty if it was not hashed on the VM in this run
	Fetched bool        `json:"fetched"`          // false: it was already here
}

// EventKind classes an Event.
type EventKind string

// The kinds of Event.
const (
	EventMethod   EventKind = "method"   // Path tells the way chosen
	EventPlanned  EventKind = "planned"  // the listing is complete: TotalFiles and TotalBytes are final
	EventProgress EventKind = "progress" // bytes and files so far; Path is the file at work, if it is known
	EventFile     EventKind = "file"     // Path is in place
	EventFailed   EventKind = "failed"   // Path failed, Reason says why
	EventSkipped  EventKind = "skipped"  // Path is a symlink that leads out of Dest, Reason says how
	EventDeleted  EventKind = "deleted"
	EventRetry    EventKind = "retry" // the connection dropped; Reason says what happens
	EventDone     EventKind = "done"
)

// Event is progress. Counters are totals so far, not differences.
type Event struct {
	Kind       EventKind
	Path       string
	Reason     string
	Bytes      int64 // content bytes that are here, of those wanted
	Files      int64
	TotalBytes int64 // wanted; grows until EventPlanned
	TotalFiles int64
	Conns      int
}

// Within tells whether a folder here is, or lies in, one of own, and in which: as
// Dest it is refused.
func Within(folder string, own []string) (in string, ok bool) { return dest.Within(folder, own) }

// PathError says that a path asked for is not on the VM. It matches
// fs.ErrNotExist.
type PathError struct{ Path string }

func (e *PathError) Error() string { return e.Path + ": " + notThere }

const notThere = "no such file or folder on the VM"

// Is makes the error match fs.ErrNotExist.
func (e *PathError) Is(target error) bool { return target == fs.ErrNotExist }

// LostError says that the connection was lost and could not be had again; what
// has arrived is kept for the next run.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	if errors.Is(e.Err, session.ErrStalled) {
		return e.Err.Error()
	}
	return "connection to the VM lost: " + e.Err.Error()
}

// Unwrap returns the last failure.
func (e *LostError) Unwrap() error { return e.Err }

// LocalError is trouble with the destination (or the source of a push) on this
// machine: it cannot be made or written, or its disk is full.
type LocalError struct {
	Path string
	Err  error
}

func (e *LocalError) Error() string {
	if pe, ok := e.Err.(*fs.PathError); ok && pe.Path == e.Path {
		return e.Path + ": " + pe.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *LocalError) Unwrap() error { return e.Err }

// IsLimit tells whether a transfer ended because it is too much for one; so it is the
// next time.
func IsLimit(err error) bool { return errors.Is(err, listing.ErrLimit) }

// ToolError says that the VM has no way to do what is asked: neither the shell
// tools nor SFTP.
type ToolError struct {
	What string
	Err  error
}

func (e *ToolError) Error() string {
	if e.Err == nil {
		return e.What
	}
	return e.What + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ToolError) Unwrap() error { return e.Err }
