package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// largePush is the size from which a file is sent by ranges, so that a dropped
// connection costs only the rest of it, and several connections share it.
const largePush = 8 << 20

// bundle is what has to come into the partial folder, by the way it travels.
type bundle struct {
	small []*pushItem // files and symlinks, in streams of tar
	large []*pushItem // by ranges
	bytes int64       // of small and large
}

// divide decides how each thing travels, and removes what does not belong into the
// partial folder.
func (p *push) divide() (b bundle, err error) {
	expected := map[string]bool{"": true}
	for _, it := range p.dirs {
		expected[it.rel] = true
	}
	for _, it := range p.want {
		held, isHeld := p.held["t/"+it.rel]
		for name := it.rel; !expected[name]; name = parentOf(name) {
			expected[name] = true
		}
		switch {
		case it.sent || it.first != nil:
		case isHeld && it.whole(&held):
			if !it.complete {
				p.c.have(it.Size, 0)
			}
			it.complete, it.ranged = true, false
			continue
		case it.Kind == 'f' && it.Size >= largePush || it.holey():
			b.large = append(b.large, it)
		default:
			b.small = append(b.small, it)
		}
		if !it.sent && it.first == nil {
			it.ready, it.complete, it.ranged = false, false, false
			b.bytes += it.DiskSize()
		}
	}
	var stray []string
	for name := range p.held {
		if rel, ok := strings.CutPrefix(name, "t/"); ok && !expected[rel] {
			stray = append(stray, p.temp(rel))
		}
	}
	return b, p.remove(stray)
}

// whole tells whether what lies in the partial folder is all of a file with its
// mode and time, which come last.
func (it *pushItem) whole(held *listing.Item) bool {
	return it.tries == 0 && it.Kind == 'f' && held.Kind == 'f' && held.Size == it.Size &&
		held.Mode&0o777 == it.Mode && it.sameTimeAs(held)
}

// pushQueue shares the work of one pass among sessions. Safe for concurrent use.
type pushQueue struct {
	mu     sync.Mutex
	small  []*pushItem
	jobs   []rangeJob
	larges []*largeSend // what the jobs are of
}

const (
	pushBatch = 64      // small files taken at once
	pushBytes = 1 << 20 // bytes, about
)

// takeSmall takes a few small files; none are left if there are none.
func (q *pushQueue) takeSmall() []*pushItem {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for bytes := int64(0); n < len(q.small) && n < pushBatch && bytes < pushBytes; n++ {
		bytes += q.small[n].Size
	}
	batch := q.small[:n]
	q.small = q.small[n:]
	return batch
}

// takeRange takes a range of a large file.
func (q *pushQueue) takeRange() (rangeJob, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return rangeJob{}, false
	}
	job := q.jobs[0]
	q.jobs = q.jobs[1:]
	return job, true
}

// giveRange gives a range back that did not arrive.
func (q *pushQueue) giveRange(job rangeJob) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, job)
}

// delivery is one pass of sending.
type delivery struct {
	p      *push
	q      *pushQueue
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	err    error // of the first connection, or what ends everything
	conns  int
}

// deliver sends all at once: small files in streams, large ones by ranges, over
// as many connections as pay.
func (p *push) deliver(b bundle) error {
	p.early.place = p.startQuiet(pushPlaceCmd)
	p.latency.wait(p.ctx)
	d := &delivery{p: p, q: &pushQueue{small: b.small}, conns: 1}
	d.ctx, d.cancel = context.WithCancelCause(p.ctx)
	defer d.cancel(nil)
	conns := p.connsFor(b.bytes)
	if err := p.cutRanges(b.large, d.q, conns); err != nil {
		return err
	}
	d.wg.Go(func() { d.stream(p.conn, true) })
	d.serve(p.conn, len(b.small) > 0)
	for range conns - 1 {
		d.wg.Go(func() { d.dial(len(b.small) > 0) })
	}
	d.wg.Wait()
	p.left = true
	for _, l := range d.q.larges {
		l.ended(p)
	}
	if d.err == nil && d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	return d.err
}

// connsFor is how many connections pay for so many bytes.
func (p *push) connsFor(bytes int64) int {
	most := maxConns
	if p.o.MaxConns > 0 {
		most = min(most, p.o.MaxConns)
	}
	if p.r.Dial == nil || p.alone || !p.latency.known() {
		return 1
	}
	return min(most, connsWorth(bytes, p.latency.rtt(), 1))
}

// sessionsPerConn is how many sessions of a kind one connection carries: at a
// distance SSH's window per session is the limit, see farSessions; near by one
// hashes while the other receives.
func (d *delivery) sessionsPerConn() int {
	switch {
	case d.p.conn.Full(): // each has a connection anyway
		return 1
	case d.p.far():
		return farSessions
	}
	return 2
}

// far tells whether the distance, not the processors, limits the push.
func (p *push) far() bool { return p.latency.rtt() > lowRTT }

// serve starts the sessions of a connection, but for the stream that leads.
func (d *delivery) serve(c *session.Conn, small bool) {
	if small && d.p.far() && !c.Full() {
		for range farSessions - 1 {
			d.wg.Go(func() { d.more(c) })
		}
	}
	if len(d.q.jobs) > 0 {
		for range d.sessionsPerConn() {
			d.wg.Go(func() { d.ranges(c) })
		}
	}
}

// dial opens a further connection and works on it. A failure means that fewer
// must do.
func (d *delivery) dial(small bool) {
	t, err := d.p.r.Dial(d.ctx)
	if err != nil {
		d.p.c.logf("no further connection: %v", err)
		return
	}
	c := session.NewConn(t).Further(d.p.r.Dial)
	d.mu.Lock()
	d.conns++
	d.p.c.conns(d.conns)
	d.mu.Unlock()
	var wg sync.WaitGroup
	if small {
		for range farSessions {
			wg.Go(func() { d.more(c) })
		}
	}
	for range d.sessionsPerConn() {
		wg.Go(func() { d.ranges(c) })
	}
	wg.Wait()
	c.Close()
}

// more is a further stream, if there is work for it.
func (d *delivery) more(c *session.Conn) {
	if d.q.smallLeft() >= manyBytes {
		d.stream(c, false)
	}
}

// smallLeft is how many bytes of small files wait.
func (q *pushQueue) smallLeft() (bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.small {
		bytes += it.Size
	}
	return bytes
}

// ended takes note of how a session on c ended. The first connection's drop ends
// the pass when the others have done what they can; another's costs only what was
// on its way. What the VM itself says ends everything, and so does an answer that
// makes no sense.
func (d *delivery) ended(c *session.Conn, err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var bad session.BadAnswer
	switch {
	case isAnswer(err) || errors.As(err, &bad) || errors.Is(err, session.ErrNoise):
		if d.err == nil || !isAnswer(d.err) {
			d.err = err
		}
		d.cancel(err)
	case c == d.p.conn && d.err == nil && !errors.Is(err, io.ErrUnexpectedEOF):
		d.err = err
	default:
		d.p.c.logf("push: a session ended early: %v", err)
		d.p.alone = true
	}
}

// toolError turns the end of a command that failed into the VM's own words.
func toolError(s *session.Session, err error) error {
	if !session.Exited(err) {
		return err
	}
	if why := whyIn(s.Said(), nil); why != nil {
		return &ToolError{"the VM could not write", fmt.Errorf("%w (%s)", why, s.Stderr())}
	}
	return &ToolError{"the VM could not write: " + s.Stderr(), err}
}

// exitStatus is the status a command ended with, 0 if err is something else.
func exitStatus(err error) int {
	var status interface{ ExitStatus() int }
	if errors.As(err, &status) {
		return status.ExitStatus()
	}
	return 0
}

// openHere opens a file to send. A file that cannot be read has its outcome.
func (p *push) openHere(it *pushItem) *os.File {
	f, err := dest.OpenRegular(it.local)
	if err != nil {
		p.localGone(it, err)
		return nil
	}
	return f
}
