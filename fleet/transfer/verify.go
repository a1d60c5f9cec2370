package transfer

import (
	"context"
	"errors"
	"io/fs"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// activate opens a large file and starts its verification. A drop returns the file to
// the queue and is returned; other trouble is the file's own.
func (p *pull) activate(ctx context.Context, c *session.Conn, t *task) error {
	l, err := p.openLarge(ctx, c, t)
	if err != nil {
		p.q.activated(nil)
		if session.IsDrop(err) && !isLocal(err) || ctx.Err() != nil {
			p.q.putBackLarge(t)
			return err
		}
		p.localFailure(t.rel, err)
		p.q.done()
		return nil
	}
	p.q.activated(l)
	p.wg.Go(func() {
		stop := l.wakeOn(p.ctx)
		defer stop()
		p.verifyLarge(p.ctx, l)
	})
	return nil
}

// isLocal tells whether err is of a file here.
func isLocal(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe)
}

// maxTries bounds how often a file that changes is read.
const maxTries = 3

// verifyLarge sees a large file through: hash here and on the VM, compare; where they
// differ find the blocks that do, fetch those, and compare again.
func (p *pull) verifyLarge(ctx context.Context, l *large) {
	defer p.q.retired(l)
	defer l.close()
	t := l.t
	for range maxTries {
		ok, err := p.verifyOnce(ctx, l)
		switch {
		case ctx.Err() != nil:
			p.q.putRetry(t) // nobody takes it any more, but it is named
			return          // what is here is kept for the next run
		case (errors.Is(err, errShort) || errors.Is(err, errUnreadable)) && p.tools.List == "sftp":
			p.q.putBack([]*task{t})
			return
		case errors.Is(err, errShort) || errors.Is(err, errUnreadable):
			p.q.putRetry(t)
			return
		case errors.Is(err, errNotSparse):
			p.giveUp(t, FailRefused, err.Error(), err)
			return
		case err != nil:
			p.localFailure(t.rel, err)
			p.q.done()
			return
		case ok:
			p.finishLarge(l)
			return
		}
		p.c.logf("%s: changed while it was read, comparing blocks", t.rel)
		good, err := withConn(ctx, p, func(c *session.Conn) (byteRanges, error) { return p.sameBlocks(ctx, c, l) })
		if err != nil && ctx.Err() == nil {
			good = nil
		}
		p.c.have(good.total()-t.it.Size, 0)
		l.refetch(good)
		p.q.wake()
	}
	if ctx.Err() == nil {
		p.giveUp(t, FailChanging, "the file changes faster than it can be read", nil)
	}
}

// verifyOnce hashes at both ends while the chunks arrive.
func (p *pull) verifyOnce(ctx context.Context, l *large) (bool, error) {
	t := l.t
	type answer struct {
		sum [32]byte
		err error
	}
	far := make(chan answer, 1)
	if p.tools.CanHash() {
		go func() {
			sum, err := withConn(ctx, p, func(c *session.Conn) ([32]byte, error) {
				sums, ok, err := prefixHashes(ctx, c, []prefixRequest{{t.name, t.it.Size}})
				if err == nil && !ok[0] {
					err = errUnreadable
				}
				return sums[0], err
			})
			far <- answer{sum, err}
		}()
	}
	local, err := l.hashLocal(ctx)
	if err != nil {
		return false, err
	}
	if err := l.drain(ctx); err != nil {
		return false, err
	}
	t.localSum, t.n = local, t.it.Size
	if !p.tools.CanHash() {
		return true, nil
	}
	select {
	case a := <-far:
		t.vmSum, t.hasVMSum = a.sum, a.err == nil
		return a.err == nil && a.sum == local, a.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// finishLarge puts a verified large file in its place.
func (p *pull) finishLarge(l *large) {
	t := l.t
	if err := t.part.FinishResumed(l.f, t.it.Perm(), t.it.ModTime()); err != nil {
		p.localFailure(t.rel, err)
		p.q.done()
		return
	}
	p.commit(t)
}

// putBackLarge puts a large file back after a drop.
func (q *queue) putBackLarge(t *task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLocked(t, true)
	q.cond.Broadcast()
}
