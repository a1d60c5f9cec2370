package transfer

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// largeFile is the size from which a file is fetched in chunks, bytes.
const largeFile = 8 << 20

// pull is one pull at work.
type pull struct {
	o       PullOptions
	r       Remote
	ctx     context.Context
	cancel  context.CancelCauseFunc
	conn    *session.Conn // the first
	c       *collector
	d       *dest.Dest
	q       *queue
	f       *listing.Filter
	pool    pool
	wg      sync.WaitGroup // everything that must have ended before the destination is closed
	trailer string

	tools      listing.Tools
	latency    *latency
	toolsKnown atomic.Bool
	started    bool
	mixed      atomic.Bool // of some files the content is here and only the hash is wanted
	filesMark  int64

	// The plan; only the listing's goroutine touches it until it has ended.
	roots    []*listing.Root
	globbed  bool // the patterns among the roots are expanded
	seed     maphash.Seed
	seen     map[uint64]bool // true: met in the current listing
	relist   bool
	dirs     []dirMeta
	hard     []hardlink
	copies   map[string]string // the last copy of a file that can have no further names
	inodes   map[inode]listing.Item
	mem      int64
	total    atomic.Int64 // bytes admitted
	free     int64
	freeOK   bool
	missing  int
	complete bool
	pending  []*task // small files not in the queue yet
	newDir   string  // the last folder, if it is new: nothing is in it

	candidates []candidate // of a dry run with Checksum: their content decides
}

// Pull fetches o.Paths into o.Dest. The Summary is filled as far as things
// went. Trouble with single files is in Summary.Failures and no error. Errors:
// *PathError if none of the paths exists, *LocalError, *LostError, *ToolError,
// the context's error.
func Pull(ctx context.Context, r Remote, o PullOptions) (Summary, error) {
	d, err := dest.Open(o.Dest, dest.Options{Token: o.Source + "\x00" + strings.Join(o.Paths, "\x00"),
		DryRun: o.DryRun, Fsync: o.Fsync, AllLinks: o.AllLinks, Own: o.Own, Home: o.Home, Dotfiles: o.Dotfiles})
	if err != nil {
		return Summary{}, &LocalError{o.Dest, err}
	}
	p := &pull{o: o, r: r, d: d, q: newQueue(), trailer: trailer(), seed: maphash.MakeSeed(),
		seen: map[uint64]bool{}, inodes: map[inode]listing.Item{}, copies: map[string]string{},
		c: newCollector(o.Events, o.Logf, o.KeepManifest),
		f: listing.NewFilter(o.Include, o.Exclude, o.MaxSize, o.Newer)}
	p.c.marks = o.Notable
	p.latency = newLatency()
	p.pool.cond, p.pool.changed = sync.NewCond(&p.pool.mu), make(chan struct{}, 1)
	p.pool.most = maxConns
	if o.MaxConns > 0 {
		p.pool.most = min(o.MaxConns, maxConns)
	}
	p.free, p.freeOK = d.FreeSpace()
	p.mixed.Store(o.Checksum || !d.Fresh())
	for _, asked := range o.Paths {
		p.roots = append(p.roots, listing.NewRoot(asked))
	}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	defer p.cancel(errOver)
	err = p.run(ctx)
	p.c.send(EventDone, "", "")
	sum := p.c.summary()
	d.Close(keepPartial(err, sum))
	return sum, err
}

// keepPartial tells whether a later run may go on from what is left.
func keepPartial(err error, sum Summary) bool {
	if err != nil {
		var pe *PathError
		return !errors.As(err, &pe)
	}
	for _, f := range sum.Failures {
		if f.Kind == FailLost || f.Kind == FailChanging || f.Kind == FailLocal {
			return true
		}
	}
	return false
}

// run lists, plans, fetches and finishes.
func (p *pull) run(ctx context.Context) error {
	stop := p.q.wakeOn(p.ctx)
	defer stop()
	p.conn = p.addWorker(p.r.Conn, false).conn
	p.wg.Go(func() { p.latency.measure(p.ctx, p.conn) })
	p.openEarly()
	p.wg.Go(p.control)
	listed := make(chan error, 1)
	p.wg.Go(func() {
		err := p.list()
		if err == nil {
			err = p.compareContents()
		}
		if e := p.enqueuePending(); err == nil {
			err = e
		}
		if err != nil {
			p.q.stop(err)
		}
		p.q.closePut()
		listed <- err
	})
	p.q.wait(p.ctx)
	p.cancel(errOver)
	p.wg.Wait()
	for _, w := range p.pool.live {
		w.once.Do(w.close) // unless it was at work
	}
	listErr := <-listed
	if err := p.outcome(ctx, listErr); err != nil {
		_ = p.flush() // the error at hand says more
		return err
	}
	return p.finish()
}

// openEarly opens the session for contents and hashes beside that for the
// listing if nothing of what is asked for is here yet, so that it is needed for
// sure: on a slow VM or far away that saves the time of opening it.
func (p *pull) openEarly() {
	if p.o.DryRun || p.mixed.Load() || slices.ContainsFunc(p.roots, isGlob) {
		return
	}
	for _, r := range p.roots {
		if r.Land == "" {
			if !p.d.Empty() {
				return
			}
		} else if _, err := p.d.Lstat(r.Land); err == nil {
			return
		}
	}
	w := p.pool.live[0]
	s := w.conn.StartSplit(w.ctx, tarHashCmd)
	s.Rest()
	w.early = s
}

// openTar is the session that was opened early if it is of this kind, or a new one.
func (w *worker) openTar(ctx context.Context, both bool) *session.Session {
	w.p.pool.mu.Lock()
	s := w.early
	w.early = nil
	w.p.pool.mu.Unlock()
	switch {
	case both && s != nil:
		return s
	case both:
		return w.conn.StartSplit(ctx, tarHashCmd)
	case s != nil:
		s.Stop()
	}
	return w.conn.Start(ctx, tarCmd)
}

// outcome is the error that ended the pull early, if one did.
func (p *pull) outcome(ctx context.Context, listErr error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := p.q.stopped(context.Background()); err != nil {
		p.reportLost(err)
		return err
	}
	if listErr != nil {
		return listErr
	}
	if p.missing == len(p.roots) && p.missing > 0 {
		return &PathError{p.roots[0].Asked}
	}
	return nil
}

// reportLost notes what did not come.
func (p *pull) reportLost(err error) {
	var lost *LostError
	if !errors.As(err, &lost) {
		return
	}
	names, open := p.q.unfinished()
	for _, rel := range names {
		p.c.fail(rel, FailLost, "the connection was lost before it came", nil)
	}
	p.c.update(func(s *Summary) { s.Failed += int64(open - len(names)) })
}

// wait returns when all is done or stopped.
func (q *queue) wait(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.finishedLocked(ctx) {
		q.cond.Wait()
	}
}

// unfinished names the files that wait, at most MaxFailures of them, and tells
// how many have no outcome.
func (q *queue) unfinished() (names []string, open int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	add := func(t *task) {
		if len(names) < min(MaxFailures, q.undecided) {
			names = append(names, t.rel)
		}
	}
	for _, l := range q.active {
		add(l.t)
	}
	for _, f := range []*fifo[*task]{&q.large, &q.small, &q.retry} {
		for f.len() > 0 {
			add(f.pop())
		}
	}
	return names, q.undecided
}

// list runs the listing until one came through, on whatever connection lives.
func (p *pull) list() error {
	complete, err := withConn(p.ctx, p, func(c *session.Conn) (bool, error) {
		if !p.globbed {
			roots, err := expand(p.ctx, c, p.roots)
			if err != nil {
				return false, err
			}
			p.roots, p.globbed = roots, true
		}
		if p.o.GitIgnore {
			if err := p.f.ReadIgnores(p.ctx, c, p.roots); session.IsDrop(err) {
				return false, err
			}
		}
		ok, err := listing.Run(p.ctx, c, p.roots, p)
		p.relist = p.toolsKnown.Load()
		return ok, err
	})
	switch {
	case err == nil:
		p.complete = complete
		p.c.update(func(s *Summary) { s.Complete = complete && p.missing == 0 })
		p.c.send(EventPlanned, "", "")
		return nil
	case p.ctx.Err() != nil:
		return context.Cause(p.ctx)
	case p.toolsKnown.Load():
		// The shell answered and then made no sense: what was listed is
		// fetched, the rest is reported.
		p.brokeOff(p.roots[0], err)
		p.c.send(EventPlanned, "", "")
		return nil
	}
	return p.listBySFTP(err)
}

// brokeOff reports that a listing did not come to its end. What is too much for
// one pull is so the next time, too.
func (p *pull) brokeOff(r *listing.Root, err error) {
	kind := FailRemote
	if IsLimit(err) {
		kind = FailRefused
	}
	p.c.fail(r.Asked, kind, "the listing broke off: "+session.CleanLine(err.Error()), err)
}

// useZstd tells whether a compressed stream pays: at a distance it does.
func (p *pull) useZstd() bool {
	return p.tools.Zstd && p.tools.Tar == "gnu" && p.latency.rtt() > lowRTT
}
