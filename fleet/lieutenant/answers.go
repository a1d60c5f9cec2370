package lieutenant

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"
)

// Stream is the event stream of one lieutenant. Its methods are safe for concurrent use if Conn is.
type Stream struct {
	Conn  Conn
	paths paths

	sendWait int                    // seconds; 0 = defaultSendWait
	whole    func(head []byte) bool // whether a long line that begins like this is fetched; nil: of events those whose beginning does not say all that matters
}

// Position is a place in the stream: a byte offset in the file with this inode (0 = unknown).
type Position struct {
	Inode  uint64
	Offset int64
}

// Answer is what the lieutenant wrote between an agent_start and its agent_end, tries that failed on the way left out.
type Answer struct {
	Text     string    `json:"text"`                // as it was written: use safe.Text before it reaches a terminal
	Complete bool      `json:"complete"`            // the agent_end is there; otherwise it is still being written, or the lieutenant crashed over it
	Failed   string    `json:"failed,omitempty"`    // why the run failed in the end, in one line; "" = it did not
	Damaged  bool      `json:"damaged,omitempty"`   // something is missing: its beginning was rotated away, a piece of text stood in a line over 4 MiB, or the text exceeds maxText
	Started  time.Time `json:"started_at,omitzero"` // if the events say so
	Ended    time.Time `json:"ended_at,omitzero"`   // if the events say so
	start    int64     // offset of its first line
}

// maxText is the most text kept: of one answer its end, of many the newest that fit. In bytes.
const maxText = 16 << 20

// What an answer, and a piece of one, takes at least: a stream may have many without a text.
const (
	answerSize = 200
	pieceSize  = 4 // and that many bytes have its pieces on average
)

// Query selects answers.
type Query struct {
	Last    int       // at most so many, the newest; 0 = all
	Since   time.Time // only those that ended later, as far as the events or the last write say; zero = no limit
	partial bool      // also those without an end
	before  time.Time // only those that began earlier; zero = no limit
}

// Answers is the result of a Query.
type Answers struct {
	List   []Answer  // oldest first
	Cut    bool      // older ones were left out because all together exceed maxText
	Failed string    // why a run failed, without a word, after the last of them; "" = none did
	end    Position  // behind the last complete line
	first  time.Time // of the first event that was read and has a time
	enough bool      // older ones than these are not wanted
}

// Answers returns what q selects. ErrNoLieutenant means that there is no stream; no answers are no error.
func (s *Stream) Answers(ctx context.Context, q Query) (Answers, error) {
	var c *collector
	end, err := s.backward(ctx, 0, func(f facts) {
		c = &collector{q: q, full: !q.Since.IsZero() && !f.modified.IsZero() && f.local(f.modified).Before(q.Since)}
	}, func(l rawLine) bool { return c.line(l) })
	if err != nil {
		return Answers{}, err
	}
	c.finish(0, true)
	slices.Reverse(c.list)
	return Answers{List: c.list, Cut: c.cut, Failed: c.failed, end: end, first: c.first, enough: c.full}, nil
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
	q      Query
	list   []Answer
	total  int
	cut    bool
	full   bool      // no older ones are wanted
	first  time.Time // see Answers
	failed string    // see Answers

	open   *Answer
	deltas [][]byte // of the open answer, in reverse order
	size   int

	// An answer that the agent began several times, because a run failed and was tried again, is followed to its first
	// run: what comes to the left of its agent_start belongs to it if that was not the first try.
	held     bool // the answer's agent_start was read, and an earlier try of it is looked for
	earlier  bool // there was a try before the run that is being read
	before   bool // there was one before the run to the left of here
	gaveUp   bool // to the right of here the agent gave up trying
	last     bool // the run to the left of here was not tried again, whatever it says
	forgot   bool // the run to the left of here was tried again
	skipping bool // what the agent forgot of such a run: its last message
	dropping bool // and all else, as its answer is not there yet
}

// line takes the next line to the left, and reports whether more are needed.
func (c *collector) line(l rawLine) bool {
	if c.full {
		return false
	}
	if !interesting(l.text) && !l.cut {
		return true
	}
	p := l.parse()
	if !p.time.IsZero() {
		c.first = p.time
	}
	if p.unclear && c.open != nil {
		c.open.Damaged = true
	}
	switch p.kind {
	case KindRetryEnd:
		if c.earlier = c.earlier || !p.end.Failed; p.end.Failed {
			c.gaveUp, c.before = true, true
			return c.release()
		}
	case KindRetry:
		// With the end of the retries right behind it, this one was called off before it began.
		c.forgot, c.last, c.before, c.gaveUp = !c.gaveUp, c.gaveUp, p.end.Attempt > 1, false
	case KindCompacts:
		c.forgot = c.forgot || p.end.Again
	case KindMessage:
		c.skipping = c.dropping
	case KindEnd:
		return c.end(l, p)
	case KindText:
		more := c.release()
		if more && !c.skipping {
			c.add(p)
		}
		return more
	case KindStart:
		return c.start(l, p)
	}
	return true
}

// end takes an agent_end.
func (c *collector) end(l rawLine, p parsed) bool {
	forgot := c.forgot || p.end.Again && !c.last
	c.earlier, c.before, c.gaveUp, c.forgot, c.last = c.before, false, false, false, false
	if forgot && c.held {
		c.held, c.skipping = false, true
		return true
	}
	if c.open != nil && !c.finish(l.offset, true) { // if it is not held its beginning is missing
		return false
	}
	if c.skipping, c.dropping = forgot, forgot; !forgot {
		c.open = &Answer{Complete: true, Ended: p.time}
		if p.end.Failed {
			c.open.Failed = p.end.why()
		}
	}
	return true
}

// start takes an agent_start.
func (c *collector) start(l rawLine, p parsed) bool {
	earlier, dropped := c.earlier, c.dropping
	c.earlier, c.forgot, c.skipping, c.dropping = false, false, false, false
	if !c.release() || dropped {
		return dropped
	}
	if c.open == nil {
		c.open = &Answer{}
	}
	c.open.began(p.time)
	if c.open.start = l.offset; earlier {
		c.held = true
		return true
	}
	return c.finish(l.offset, false)
}

// release closes an answer that has no earlier try after all, and reports whether more are wanted.
func (c *collector) release() bool { return !c.held || c.finish(c.open.start, false) }

func (a *Answer) began(t time.Time) {
	if !t.IsZero() {
		a.Started = t
	}
}

func (c *collector) add(p parsed) {
	if c.open == nil {
		c.open = &Answer{}
	}
	c.open.began(p.time)
	if c.open.Ended.IsZero() {
		c.open.Ended = p.time
	}
	if len(p.delta) == 0 {
		return
	}
	if c.size += max(len(p.delta), pieceSize); c.size > maxText {
		c.open.Damaged = true
		return
	}
	c.deltas = append(c.deltas, p.delta)
}

// finish closes the open answer, and reports whether more are wanted.
func (c *collector) finish(offset int64, headless bool) bool {
	if c.open != nil && c.held {
		offset, headless = c.open.start, false
	}
	slices.Reverse(c.deltas)
	text := unquote(slices.Concat(c.deltas...))
	c.deltas, c.held = nil, false
	return c.close(text, offset, headless)
}

// close adds the open answer to the list, if it is wanted, and reports whether more are.
func (c *collector) close(text string, offset int64, headless bool) bool {
	if c.open == nil {
		return true
	}
	a := *c.open
	a.Text, a.start, a.Damaged = text, offset, a.Damaged || headless
	c.open, c.size = nil, 0
	switch {
	case !a.Complete && !c.q.partial, !c.q.before.IsZero() && !a.Started.Before(c.q.before):
		return true
	case !c.q.Since.IsZero() && !a.Ended.IsZero() && a.Ended.Before(c.q.Since):
		c.full = true
		return false
	case a.Failed != "" && a.Text == "": // no answer
		if len(c.list) == 0 {
			c.failed = cmp.Or(c.failed, a.Failed)
		}
		return true
	}
	if c.total += len(a.Text) + answerSize; c.total > maxText && len(c.list) > 0 {
		c.cut, c.full = true, true
		return false
	}
	c.list = append(c.list, a)
	return c.q.Last <= 0 || len(c.list) < c.q.Last
}

// interesting reports whether a line can matter for answers, without parsing it.
func interesting(line []byte) bool {
	for _, word := range []string{"text_delta", "agent_", "auto_retry_", "compaction_end", "message_start"} {
		if bytes.Contains(line, []byte(word)) {
			return true
		}
	}
	return false
}
