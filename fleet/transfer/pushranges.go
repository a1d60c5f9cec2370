package transfer

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// largeSend is a large file on its way. Safe for concurrent use.
type largeSend struct {
	it     *pushItem
	mu     sync.Mutex
	left   int  // ranges that the VM has not proved to be right
	spoilt bool // this pass cannot end well
}

// largeFolder is where, in the partial folder, large files lie until they are
// whole, each under a name of its state: what a command of a connection that
// dropped still writes into one cannot be of another state.
const largeFolder = "l/"

// state names a state of a file.
func (it *pushItem) state() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", it.rel, it.Size, it.Mtime))
	return hex.EncodeToString(sum[:16])
}

// lies is the name on the VM of what is in the partial folder of a file.
func (p *push) lies(it *pushItem) string {
	if it.ranged {
		return p.part + "/" + largeFolder + it.state()
	}
	return p.temp(it.rel)
}

// rangeJob is a range of a large file to send.
type rangeJob struct {
	l *largeSend
	r byteRange
}

// cutRanges cuts large files into ranges, without what the VM has of them.
func (p *push) cutRanges(items []*pushItem, q *pushQueue, conns int) error {
	if !p.tools.FullBlocks || !p.tools.Dd {
		return p.sendWhole(items)
	}
	for _, it := range items {
		have, err := p.sameRanges(it)
		if err != nil {
			return err
		}
		for _, hole := range it.holes(p.held[largeFolder+it.state()].Size) {
			have = have.add(hole)
		}
		l := &largeSend{it: it}
		q.larges = append(q.larges, l)
		p.c.have(have.total(), 0)
		for _, r := range have.missing(it.Size, p.rangeSize(it.Size, conns)) {
			q.jobs = append(q.jobs, rangeJob{l, r})
			l.left++
		}
		it.ranged = true
		if l.left == 0 { // only its mode and time are missing
			it.complete = true
		}
	}
	return nil
}

// rangeSize balances: small enough that all sessions end together, large enough
// that what it costs the VM to begin a range (three processes) does not matter.
func (p *push) rangeSize(size int64, conns int) int64 {
	if p.far() {
		return min(max(roundUp(size/int64(4*farSessions*conns), rangeBlock), 4<<20), 32<<20)
	}
	return 64 << 20
}

// sameRanges compares what lies in the partial folder with the file here.
func (p *push) sameRanges(it *pushItem) (byteRanges, error) {
	held := p.held[largeFolder+it.state()]
	if held.Kind != 'f' || held.Size == 0 || held.Size > it.Size || !p.tools.CanHash() {
		return nil, nil
	}
	f := p.openHere(it)
	if f == nil {
		return nil, nil
	}
	defer func() { _ = f.Close() }()
	var same byteRanges
	// A block costs the VM three processes, and what is sent again of one is little.
	block := min(max(1<<20, roundUp(held.Size/256, rangeBlock)), 32<<20)
	buf := make([]byte, block)
	err := blockHashes(p.ctx, p.conn, p.part+"/"+largeFolder+it.state(), held.Size, block, func(i int64, sum [32]byte) error {
		off := i * block
		n, err := f.ReadAt(buf[:min(block, held.Size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if sha256.Sum256(buf[:n]) == sum {
			same = same.add(byteRange{off, off + int64(n)})
		}
		return nil
	})
	if session.IsDrop(err) && !isLocal(err) || p.ctx.Err() != nil {
		return nil, errors.Join(err, p.ctx.Err())
	}
	return same, nil
}

// rangeSender sends ranges over one session. The VM answers in order.
type rangeSender struct {
	d    *delivery
	s    *session.Session
	w    *bufio.Writer
	buf  []byte
	open []sentRange // not answered yet

	begun   atomic.Int64 // ranges
	lines   chan string  // the VM's answers
	readErr error        // why there are no more; valid when lines is closed
	runs    bool         // the command runs; likewise
}

type sentRange struct {
	job rangeJob
	sum [32]byte
}

// ranges sends ranges of large files over one session until none are left.
func (d *delivery) ranges(c *session.Conn) {
	job, ok := d.q.takeRange()
	if !ok {
		return
	}
	s := c.Start(d.ctx, pushRangeCmd)
	defer s.Stop()
	rs := &rangeSender{d: d, s: s, w: bufio.NewWriterSize(s.In, 64<<10), buf: make([]byte, 256<<10), lines: make(chan string, 2)}
	go rs.read()
	var err error
	for ok && err == nil {
		if err = rs.send(job); err == nil && len(rs.open) > 1 {
			err = rs.answer()
		}
		if err == nil {
			job, ok = d.q.takeRange()
		}
	}
	if err == nil {
		_ = s.In.Close()
		s.Due("hashes", 0)
	}
	for err == nil && len(rs.open) > 0 {
		err = rs.answer()
	}
	if err != nil {
		rs.giveBack(job, ok)
	}
	if err != nil && !errors.Is(err, io.ErrClosedPipe) { // that one has ended, and its reader is to say how
		s.Abort()
	}
	for range rs.lines { // more than was due ends the session
		continue
	}
	if rs.readErr != nil && (err == nil || errors.Is(err, io.ErrClosedPipe)) {
		err = rs.readErr
	}
	if rs.runs {
		err = toolError(s, err)
	}
	d.ended(c, err)
}

// read reads answers, so that a VM that talks too much does not stand in its own
// way, and ends the session if more come than are due.
func (rs *rangeSender) read() {
	defer close(rs.lines)
	if rs.readErr = rs.s.Ready(); rs.readErr != nil {
		return
	}
	rs.runs = true
	for n := int64(1); ; n++ {
		line, err := readLine(rs.s.Out)
		if errors.Is(err, io.EOF) {
			if rs.readErr = rs.s.Wait(); rs.readErr == nil && n <= rs.begun.Load() {
				rs.readErr = io.ErrUnexpectedEOF
			}
			return
		}
		if err == nil && n > rs.begun.Load() {
			err = errUnrequested
		}
		if err != nil {
			rs.s.Abort()
			rs.readErr = rs.s.End(err)
			return
		}
		rs.lines <- line
	}
}

// giveBack leaves to other sessions what did not arrive.
func (rs *rangeSender) giveBack(job rangeJob, taken bool) {
	for _, sent := range rs.open {
		taken = taken && sent.job != job
		rs.d.q.giveRange(sent.job)
	}
	if taken {
		rs.d.q.giveRange(job)
	}
}

// send sends one range.
func (rs *rangeSender) send(job rangeJob) error {
	p, it, n := rs.d.p, job.l.it, job.r.len()
	f := p.openHere(it)
	if f == nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	p.c.at(it.rel)
	rs.begun.Add(1)
	rs.s.Due("taking contents", session.ToRead(n))
	_, err := fmt.Fprintf(rs.w, "%s%d %d %d\n", shellLine(p.lies(it)), job.r.off/rangeBlock, n/rangeBlock, n%rangeBlock)
	if err != nil {
		return err
	}
	sum, readErr, err := p.copyOut(rs.w, io.NewSectionReader(f, job.r.off, n), n, rs.buf)
	if err == nil {
		err = rs.w.Flush()
	}
	if err != nil {
		return err
	}
	if fi, err := f.Stat(); readErr != nil || err != nil || !it.sameHere(fi) {
		job.l.spoil()
	}
	rs.open = append(rs.open, sentRange{job, sum})
	return nil
}

// answer reads what the VM says to the range that was sent first.
func (rs *rangeSender) answer() error {
	line, ok := <-rs.lines
	if !ok {
		return io.ErrClosedPipe // readErr tells why
	}
	sent := rs.open[0]
	rs.open = rs.open[1:]
	if sum, ok := parseHash(line); rs.d.p.tools.CanHash() && (!ok || sum != sent.sum) {
		sent.job.l.spoil()
	}
	sent.job.l.arrived()
	return nil
}

// arrived notes a range that the VM has.
func (l *largeSend) arrived() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left--
}

// spoil notes that this pass cannot end well: the VM has something else than was
// sent, or the file here is not what it was.
func (l *largeSend) spoil() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spoilt = true
}

// ended decides about a file after the pass.
func (l *largeSend) ended(p *push) {
	switch {
	case l.spoilt:
		p.unsteady(l.it)
	case l.left == 0:
		l.it.complete, l.it.ready = true, !l.it.holey() // of holes no hash came yet
	}
}
