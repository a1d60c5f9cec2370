package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Options is what Events are made of. All fields are required.
type Options struct {
	API       *outage.API
	Inventory *inventory.Inventory
	Output    *remote.Output
	Store     *keystore.Store
	Now       func() time.Time
	Logf      func(string, ...any)

	// List lists the fleet, and fetches the keys of new VMs.
	List func(context.Context, inventory.ListOptions) (inventory.Listing, error)
}

// Events are the events of a profile. Their methods may be called concurrently.
type Events struct {
	o   Options
	doc *keystore.Doc

	mu   sync.Mutex
	last *known // what was recorded when this process looked last
}

// New makes Events. It reads nothing.
func New(o Options) *Events { return &Events{o: o, doc: o.Store.Doc("events")} }

// Bounds of the ring: the newest events, in number and in bytes.
const (
	mostEvents = 1000
	mostBytes  = 512 << 10
)

// ledger is the document: what was observed last, and the events that led there.
// On disk they are JSON lines, the first of them what was observed.
type ledger struct {
	known
	lines [][]byte // of the events, oldest first
	fresh []Event  // that this change adds
	now   time.Time
	dirty bool // something else was observed, with or without an event
}

const ledgerVersion = 1

// errNewer keeps a document of a newer version as it is.
var errNewer = errors.New("the events were recorded by a newer version of this program")

// decode reads the document. What cannot be read is as good as nothing: the next
// observation is then the first.
func decode(data []byte) (ledger, error) {
	head, rest, _ := bytes.Cut(data, []byte("\n"))
	var l ledger
	if json.Unmarshal(head, &l.known) != nil || l.Version < 1 {
		l.known = known{}
	}
	if l.Version > ledgerVersion {
		return ledger{}, errNewer
	}
	if l.VMs == nil {
		l.VMs = map[string]knownVM{}
	}
	if l.Version == 0 {
		return l, nil
	}
	for line := range bytes.Lines(rest) {
		if line = bytes.TrimSpace(line); json.Valid(line) {
			l.lines = append(l.lines, line)
		}
	}
	return l, nil
}

func (l *ledger) encode() ([]byte, error) {
	l.Version = ledgerVersion
	for _, e := range l.fresh {
		line, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		l.lines = append(l.lines, line)
	}
	size, first := 0, len(l.lines)
	for first > 0 && len(l.lines)-first < mostEvents && size+len(l.lines[first-1]) < mostBytes {
		first--
		size += len(l.lines[first])
	}
	l.lines = l.lines[first:]
	head, err := json.Marshal(l.known)
	if err != nil {
		return nil, err
	}
	return append(bytes.Join(append([][]byte{head}, l.lines...), []byte("\n")), '\n'), nil
}

// maxEventText is the longest text of an event, in bytes.
const maxEventText = 300

// add makes an event of what was just observed.
func (l *ledger) add(e Event) {
	l.Seq++
	e.Seq, e.Name, e.Former, e.Text = l.Seq, safe.Line(e.Name), safe.Line(e.Former), shortened(safe.Line(e.Text))
	if e.At.IsZero() {
		e.At = l.now
	}
	e.At = e.At.UTC().Truncate(time.Second)
	if !e.Since.IsZero() {
		e.Since = e.Since.UTC().Truncate(time.Second)
	}
	l.fresh, l.dirty = append(l.fresh, e), true
}

func shortened(text string) string {
	if len(text) <= maxEventText {
		return text
	}
	return string(bytes.ToValidUTF8([]byte(text[:maxEventText]), nil)) + "..."
}

// change records what observe finds, and returns the events that this makes. As
// long as this process knows of nothing else than it observes, the disk is left
// alone.
func (e *Events) change(ctx context.Context, observe func(*ledger)) ([]Event, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Now()
	if e.last != nil {
		same := ledger{known: *e.last, now: now}
		same.VMs = maps.Clone(e.last.VMs)
		if observe(&same); !same.dirty {
			return nil, nil
		}
	}
	var l ledger
	err := e.doc.Update(context.WithoutCancel(ctx), func(old []byte) (data []byte, err error) {
		if l, err = decode(old); err != nil {
			return nil, err
		}
		l.now = now
		if observe(&l); !l.dirty {
			return nil, nil
		}
		return l.encode()
	})
	if err != nil {
		return nil, problem.OfStorage("record what happened", err)
	}
	e.last = &l.known
	return l.fresh, nil
}

// Note records events that need no observation. A failure is told as a detail:
// what happened has happened.
func (e *Events) Note(ctx context.Context, events ...Event) {
	_, err := e.change(ctx, func(l *ledger) {
		for _, event := range events {
			l.add(event)
		}
	})
	if err != nil {
		e.o.Logf("%v", err)
	}
}

// After returns the recorded events with a greater Seq, oldest first, and the
// greatest there is. The error is of kind Storage.
func (e *Events) After(seq int64) (events []Event, last int64, err error) {
	data, err := e.doc.Read()
	if keystore.IsNotFound(err) {
		return []Event{}, 0, nil
	}
	var l ledger
	if err == nil {
		l, err = decode(data)
	}
	if err != nil {
		return nil, 0, problem.OfStorage("read what happened", err)
	}
	events = []Event{}
	for _, line := range l.lines {
		var event Event
		if json.Unmarshal(line, &event) == nil && event.Seq > seq {
			events = append(events, event)
		}
	}
	return events, l.Seq, nil
}
