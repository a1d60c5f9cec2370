package lieutenant

import (
	"context"
	"slices"
	"time"
)

// Stream is the event stream of one lieutenant. Its methods are safe for concurrent use if Conn is.
type Stream struct {
	Conn  Conn
	paths paths

	sendWait int // seconds; 0 = defaultSendWait
}

// Position is a place in the stream: a byte offset in the file with this inode (0 = unknown).
type Position struct {
	Inode  uint64
	Offset int64
}

// Answer is what the lieutenant wrote between an agent_start and its agent_end.
type Answer struct {
	Text     string    // as it was written: use safe.Text before it reaches a terminal
	Complete bool      // the agent_end is there; otherwise it is still being written, or the lieutenant crashed over it
	Damaged  bool      // something is missing: its beginning was rotated away, a piece of text stood in a line over 4 MiB, or the text exceeds maxText
	Started  time.Time // if the events say so
	Ended    time.Time // if the events say so
	start    int64     // offset of its first line
}

// maxText is the most text kept: of one answer its end, of many the newest that fit. In bytes.
const maxText = 16 << 20

// Query selects answers.
type Query struct {
	Last    int       // at most so many, the newest; 0 = all
	Since   time.Time // only those that ended later, as far as the events or the last write say; zero = no limit
	partial bool      // also those without an end
}

// Answers is the result of a Query.
type Answers struct {
	List []Answer // oldest first
	Cut  bool     // older ones were left out because all together exceed maxText
	end  Position // behind the last complete line
}

// Answers returns what q selects. ErrNoLieutenant means that there is no stream; no answers are no error.
func (s *Stream) Answers(ctx context.Context, q Query) (Answers, error) {
	var c *collector
	end, err := s.backward(ctx, 0, func(f facts) {
		c = &collector{q: q, quiet: !q.Since.IsZero() && !f.modified.IsZero() && f.local(f.modified).Before(q.Since)}
	}, func(l rawLine) bool { return c.line(l) })
	if err != nil {
		return Answers{}, err
	}
	c.finish(0, true)
	slices.Reverse(c.list)
	return Answers{List: c.list, Cut: c.cut, end: end}, nil
}

// local converts a time of the VM's clock to this machine's.
func (f facts) local(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Now().Add(-f.now.Sub(t))
}

// Current returns where the answer that is being written begins, or the end of the stream if the lieutenant is idle:
// the place from which to Follow it.
func (s *Stream) Current(ctx context.Context) (Position, error) {
	a, err := s.Answers(ctx, Query{Last: 1, partial: true})
	if err != nil || len(a.List) == 0 || a.List[0].Complete {
		return a.end, err
	}
	return Position{a.end.Inode, a.List[0].start}, nil
}

// collector puts answers together from lines that come from the last to the first.
type collector struct {
	q     Query
	quiet bool // nothing was written since q.Since
	list  []Answer
	total int
	cut   bool

	open   *Answer
	deltas [][]byte // of the open answer, in reverse order
	size   int
}

// line takes the next line to the left, and reports whether more are needed.
func (c *collector) line(l rawLine) bool {
	if c.quiet {
		return false
	}
	if !interesting(l.text) && !l.cut {
		return true
	}
	p := parseLine(l.text, l.cut)
	if p.unclear && c.open != nil {
		c.open.Damaged = true
	}
	switch p.kind {
	case KindEnd:
		if !c.finish(l.offset, true) { // its beginning is missing
			return false
		}
		c.open = &Answer{Complete: true, Ended: p.time}
	case KindText:
		if c.open == nil {
			c.open = &Answer{}
		}
		c.add(p)
	case KindStart:
		if c.open == nil {
			c.open = &Answer{}
		}
		c.open.Started = p.time
		return c.finish(l.offset, false)
	}
	return true
}

func (c *collector) add(p parsed) {
	c.open.Started = p.time
	if c.open.Ended.IsZero() {
		c.open.Ended = p.time
	}
	if c.size += len(p.delta); c.size > maxText {
		c.open.Damaged = true
		return
	}
	c.deltas = append(c.deltas, p.delta)
}

// finish closes the open answer, and reports whether more are wanted.
func (c *collector) finish(offset int64, headless bool) bool {
	if c.open == nil {
		return true
	}
	a := *c.open
	a.start, a.Damaged = offset, a.Damaged || headless
	slices.Reverse(c.deltas)
	a.Text = unquote(slices.Concat(c.deltas...))
	c.open, c.deltas, c.size = nil, nil, 0
	if !a.Complete && !c.q.partial {
		return true
	}
	if !c.q.Since.IsZero() && !a.Ended.IsZero() && a.Ended.Before(c.q.Since) {
		c.quiet = true
		return false
	}
	if c.total += len(a.Text); c.total > maxText && len(c.list) > 0 {
		c.cut, c.quiet = true, true
		return false
	}
	c.list = append(c.list, a)
	return c.q.Last <= 0 || len(c.list) < c.q.Last
}
