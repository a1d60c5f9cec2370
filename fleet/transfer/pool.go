package transfer

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

const (
	// lowRTT is the round trip below which the processors, not the distance,
	// limit a transfer.
	lowRTT = 8 * time.Millisecond
	// maxConns stays below sshd's MaxStartups (10:30:100) and leaves room for
	// other logins (sshd_config(5)).
	maxConns = 8
	// maxRedials bounds redials in a row without a file or 1 MiB arriving.
	maxRedials = 8
	// maxLate bounds those after a VM was late, each of which took a minute.
	maxLate = 2
)

// worker is one connection at work: streams of small files, ranges of large
// ones, and retries, side by side.
type worker struct {
	p      *pull
	conn   *session.Conn
	own    bool // this package dialled it
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	once   sync.Once

	early *session.Session // bothCmd, opened beside the listing; used once
}

// pool is the connections in use. Safe for concurrent use.
type pool struct {
	mu      sync.Mutex
	cond    *sync.Cond
	live    []*worker
	most    int // connections worth having; falls when a dial fails
	lost    error
	changed chan struct{} // something changed
}

// addWorker starts work on a connection.
func (p *pull) addWorker(c Conn, own bool) *worker {
	w := &worker{p: p, conn: session.NewConn(c).Further(p.r.Dial), own: own}
	w.ctx, w.cancel = context.WithCancelCause(p.ctx)
	p.pool.mu.Lock()
	p.pool.live = append(p.pool.live, w)
	n := len(p.pool.live)
	p.pool.cond.Broadcast()
	p.pool.mu.Unlock()
	p.c.conns(n)
	return w
}

// work starts it, once.
func (w *worker) work() { w.once.Do(w.start) }

func (w *worker) start() {
	stop := w.p.q.wakeOn(w.ctx)
	run := func(work func(context.Context) error) {
		w.wg.Go(func() {
			if err := work(w.ctx); err != nil {
				w.dropped(err)
			}
		})
	}
	if w.p.tools.List == "sftp" {
		run(w.sftpWorker)
	} else {
		run(w.fetchSmall)
		run(w.fetchRanges)
		run(w.fetchRetries)
		for range farSessions - 1 {
			run(w.moreStreams)
			run(w.moreRanges)
		}
	}
	w.p.wg.Go(func() {
		w.wg.Wait()
		stop()
		w.close()
	})
}

func (w *worker) fetchSmall(ctx context.Context) error {
	for w.p.q.waitSmall(ctx) {
		if err := w.stream(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) fetchRanges(ctx context.Context) error {
	for !w.p.q.finished(ctx) {
		if err := w.ranges(ctx); err != nil {
			return err
		}
	}
	return nil
}

// farSessions is how many sessions of a kind a connection carries at a distance,
// where SSH's window of 2 MiB per session (OpenSSH's channels.h, x/crypto/ssh)
// is the limit. A further session costs two round trips, a connection ten.
const farSessions = 3

// isFar waits until the distance is known, and tells whether it matters: not where
// each session has a connection anyway.
func (w *worker) isFar(ctx context.Context) bool {
	w.p.latency.wait(ctx)
	return w.p.latency.rtt() > lowRTT && !w.conn.Full()
}

// moreStreams is a further fetchSmall.
func (w *worker) moreStreams(ctx context.Context) error {
	if !w.isFar(ctx) || !w.p.tools.Combined() {
		return nil
	}
	for w.p.q.waitMany(ctx) && !w.p.mixed.Load() {
		if err := w.stream(ctx); err != nil {
			return err
		}
	}
	return nil
}

// moreRanges is a further fetchRanges.
func (w *worker) moreRanges(ctx context.Context) error {
	if !w.isFar(ctx) {
		return nil
	}
	return w.fetchRanges(ctx)
}

func (w *worker) fetchRetries(ctx context.Context) error {
	for {
		ts := w.p.q.takeRetry(ctx, retryBatch)
		if len(ts) == 0 {
			return nil
		}
		if err := w.retry(ctx, ts); err != nil {
			return err
		}
	}
}

// dropped takes a worker out of use after its connection failed.
func (w *worker) dropped(err error) {
	p := w.p
	if p.ctx.Err() != nil {
		return
	}
	w.cancel(err)
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	for i, other := range p.pool.live {
		if other == w {
			p.pool.live = append(p.pool.live[:i:i], p.pool.live[i+1:]...)
			p.pool.lost = err
			p.pool.most = max(1, min(p.pool.most, len(p.pool.live)+1))
			p.c.logf("a connection dropped: %v", err)
			break
		}
	}
	w.once.Do(func() { p.wg.Go(w.close) }) // unless it is at work
	p.pool.notify()
}

// notify wakes the controller.
func (po *pool) notify() {
	select {
	case po.changed <- struct{}{}:
	default:
	}
}

func (w *worker) close() {
	if w.early != nil {
		w.early.Stop()
	}
	if w.own {
		w.conn.Close()
	}
}

// withConn runs op on a live connection, again on another one after a drop.
func withConn[T any](ctx context.Context, p *pull, op func(*session.Conn) (T, error)) (T, error) {
	for {
		w, err := p.anyWorker(ctx)
		if err != nil {
			var zero T
			return zero, err
		}
		v, err := op(w.conn)
		if !session.IsDrop(err) || isLocal(err) || ctx.Err() != nil {
			return v, err
		}
		w.dropped(err)
	}
}

// anyWorker waits for a live connection.
func (p *pull) anyWorker(ctx context.Context) (*worker, error) {
	stop := context.AfterFunc(ctx, func() {
		p.pool.mu.Lock()
		defer p.pool.mu.Unlock()
		p.pool.cond.Broadcast()
	})
	defer stop()
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	for len(p.pool.live) == 0 && ctx.Err() == nil {
		p.pool.cond.Wait()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return p.pool.live[0], nil
}

// control adds connections while that pays, and redials when none is left.
func (p *pull) control() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	redials, lates := 0, 0
	var mark int64
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
		case <-p.pool.changed:
		}
		if sum := p.c.summary(); sum.Moved-mark > 1<<20 {
			mark, p.filesMark, redials, lates = sum.Moved, sum.Files, 0, 0
		} else if sum.Files > p.filesMark {
			p.filesMark, redials = sum.Files, 0
		}
		p.pool.mu.Lock()
		live, most, lost := len(p.pool.live), p.pool.most, p.pool.lost
		p.pool.mu.Unlock()
		if p.o.ConnsNow != nil {
			most = min(most, p.o.ConnsNow())
		}
		switch {
		case live == 0:
			if errors.Is(lost, session.ErrStalled) {
				lates++
			}
			if err := p.redial(max(redials, lates-1), lost); err != nil {
				p.q.stop(err)
				p.cancel(err)
				return
			}
			redials++
		case live < most && p.toolsKnown.Load() && p.latency.known():
			if n := p.worth(live) - live; n > 0 {
				p.dialMore(min(n, most-live))
			}
		}
	}
}

// again tells whether a further connection is tried after so many in a row.
func again(lost error, tried int) bool {
	return tried < maxRedials && (tried < maxLate || !errors.Is(lost, session.ErrStalled))
}

// whyLost says what became of a connection: one that was given up because nothing
// came on it did not drop.
func whyLost(err error) string {
	if errors.Is(err, session.ErrStalled) {
		return err.Error()
	}
	return "the connection dropped"
}

// redial gets a connection back, after a pause that grows.
func (p *pull) redial(tried int, lost error) error {
	dial := p.r.Redial
	if dial == nil {
		dial = p.r.Dial
	}
	if dial == nil || !again(lost, tried) {
		return &LostError{lost}
	}
	if tried > 0 {
		pause := min(250*time.Millisecond<<tried, 30*time.Second)
		p.c.send(EventRetry, "", whyLost(lost)+"; trying again in "+pause.String())
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	} else {
		p.c.send(EventRetry, "", whyLost(lost)+"; connecting again")
	}
	c, err := dial(p.ctx)
	if err != nil {
		p.pool.mu.Lock()
		p.pool.lost = err
		p.pool.mu.Unlock()
		p.pool.notify()
		return nil
	}
	w := p.addWorker(c, true)
	if p.toolsKnown.Load() {
		w.work()
	}
	return nil
}

// worth is how many connections pay for what is left.
func (p *pull) worth(live int) int {
	left, _ := p.q.left()
	return connsWorth(left, p.latency.rtt(), live)
}

// connsWorth is how many connections pay for so many bytes where some are open: a
// new one costs about ten round trips and 0.1 s of the VM's time before it brings
// anything.
func connsWorth(left int64, rtt time.Duration, live int) int {
	cost := 10*rtt + 150*time.Millisecond
	perConn := float64(300 << 20) // bytes/s that one connection carries: the processors' limit
	if rtt > lowRTT {
		perConn = farSessions * float64(2<<20) / rtt.Seconds() // SSH's windows, one round trip
	}
	most := maxConns
	if rtt <= lowRTT {
		most = min(4, max(1, runtime.NumCPU()))
	}
	eta := time.Duration(float64(left) / perConn / float64(live) * float64(time.Second))
	if eta < cost*3/2 {
		return live
	}
	n := live
	for n < most && float64(left)/perConn/float64(n) > cost.Seconds()/2 {
		n++
	}
	return n
}

// dialMore opens n more connections at once; a failure means that fewer must do.
func (p *pull) dialMore(n int) {
	if p.r.Dial == nil {
		return
	}
	p.c.logf("opening %d more connections (round trip %v)", n, p.latency.rtt().Round(100*time.Microsecond))
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			c, err := p.r.Dial(p.ctx)
			if err != nil {
				p.pool.mu.Lock()
				p.pool.most = max(1, len(p.pool.live))
				p.pool.mu.Unlock()
				p.c.logf("no further connection: %v", err)
				return
			}
			p.addWorker(c, true).work()
		})
	}
	wg.Wait()
}

// errOver ends the workers when all is done.
var errOver = errors.New("the transfer is over")
