package transfer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

const (
	retryBatch  = 256
	retryAtOnce = 3        // files read at a time
	maxUnlisted = 16 << 20 // bytes of a file that said it is smaller (as in /proc)
)

// retry sees files through, one by one, that the streams could not: they changed, lie about
// their size, have names that tools cannot print, cannot be read, or are gone.
func (w *worker) retry(ctx context.Context, ts []*task) error {
	p := w.p
	left := slices.Clone(ts)
	err := w.retryAll(ctx, &left)
	if err == nil {
		return nil
	}
	for _, t := range left {
		t.drops++
		if ctx.Err() == nil && !session.IsDrop(err) {
			p.giveUp(t, FailRemote, "the VM does not deliver it: "+session.CleanLine(err.Error()), err)
		} else if t.drops > maxDrops {
			p.giveUp(t, FailLost, "the connection dropped each time it was on its way", err)
		} else {
			p.q.putRetry(t)
		}
	}
	if session.IsDrop(err) || ctx.Err() != nil {
		return err
	}
	return nil
}

// retryAll removes from left what has found its outcome.
func (w *worker) retryAll(ctx context.Context, left *[]*task) error {
	if err := w.checkAccess(ctx, left); err != nil {
		return err
	}
	if err := w.readTogether(ctx, *left); err != nil {
		return err
	}
	for len(*left) > 0 {
		if err := w.readAgain(ctx, *left); err != nil {
			return err
		}
		if err := w.verifyAgain(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// checkAccess asks which files are gone or cannot be read.
func (w *worker) checkAccess(ctx context.Context, left *[]*task) error {
	s := w.conn.Start(ctx, accessCmd)
	defer s.Stop()
	var names []string
	for _, t := range *left {
		names = append(names, t.name)
	}
	s.Items(names...)
	if err := s.Ready(); err != nil {
		return err
	}
	letters := make([]byte, len(*left))
	if _, err := io.ReadFull(s.Out, letters); err != nil {
		return s.Failure(err)
	}
	i := -1
	*left = slices.DeleteFunc(slices.Clone(*left), func(t *task) bool {
		i++
		switch letters[i] {
		case 'C':
			return false
		case 'G':
			w.p.c.update(func(s *Summary) { s.Vanished++ })
			w.p.c.logf("%s: gone since it was listed", t.rel)
			w.p.q.done()
		default:
			w.p.giveUp(t, FailRemote, "the VM cannot read it (permission denied, or no longer a file)", nil)
		}
		return true
	})
	return nil
}

// readTogether reads files that are here only for their names, which tools cannot
// print: all in one session, because one each costs the VM a login shell a file. One
// that is not as it was listed ends the session; readAgain sees it through.
func (w *worker) readTogether(ctx context.Context, ts []*task) error {
	var odd []*task
	for _, t := range ts {
		if !plainName(t.name) && t.tries == 0 && !t.stored && t.it.Size > 0 && w.p.tools.Dd {
			odd = append(odd, t)
		}
	}
	for len(odd) > 1 {
		n, err := w.readFrames(ctx, odd)
		if err != nil {
			return err
		}
		odd = odd[min(n+1, len(odd)):]
	}
	return nil
}

// readFrames reads files in one session, and returns how many came as they were
// listed. The error is a drop.
func (w *worker) readFrames(ctx context.Context, ts []*task) (n int, err error) {
	s := w.conn.Start(ctx, rangeCmd)
	defer s.Stop()
	s.Due("contents", 0)
	s.Input(func(in *bufio.Writer) error {
		for _, t := range ts {
			if _, err := in.WriteString(rangeRequest(t.name, byteRange{0, t.it.Size}, w.p.trailer)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Ready(); err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for i, t := range ts {
		err := w.p.storeFile(t, s.Out, t.it.Size, buf)
		if err == nil {
			err = checkTrailer(s.Out, w.p.trailer)
		}
		if err != nil {
			var re readError
			if errors.As(err, &re) {
				err = re.error
			}
			if err = s.End(err); session.IsDrop(err) {
				return i, err
			}
			return i, nil
		}
		t.stored, t.hasVMSum = true, false
	}
	return len(ts), nil
}

// readAgain reads those files whose content is not here.
func (w *worker) readAgain(ctx context.Context, ts []*task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var first error
	var wg sync.WaitGroup
	running := make(chan struct{}, retryAtOnce)
	for _, t := range ts {
		if t.stored {
			continue
		}
		running <- struct{}{}
		wg.Go(func() {
			defer func() { <-running }()
			if err := w.cat(ctx, t); err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
				cancel()
			}
		})
	}
	wg.Wait()
	return first
}

// cat reads one file to its end, or to where it should have ended long ago.
func (w *worker) cat(ctx context.Context, t *task) error {
	s := w.conn.Start(ctx, catCmd)
	defer s.Stop()
	s.Due("contents", 0)
	s.Items(t.name)
	if err := s.Ready(); err != nil {
		return err
	}
	limit := max(t.it.Size, maxUnlisted)
	err := w.p.storeFile(t, s.Out, limit, make([]byte, 64<<10))
	var re readError
	switch {
	case errors.As(err, &re):
		return s.End(re.error)
	case errors.Is(err, errNotSparse):
		t.endless = true
		return nil
	case err != nil:
		t.failed = err
		return nil
	}
	t.stored, t.hasVMSum = true, false
	if t.n == limit && t.it.Size < limit { // it may be endless
		t.endless = true
		return nil
	}
	if t.n < limit {
		if err := s.Wait(); err != nil {
			t.stored = false
			if session.IsDrop(err) {
				return err
			}
			t.failed = errUnreadable
			t.said = s.Stderr()
		}
	}
	return nil
}

// verifyAgain asks for the hashes of what is here and decides.
func (w *worker) verifyAgain(ctx context.Context, left *[]*task) error {
	p := w.p
	var ask []prefixRequest
	for _, t := range *left {
		if p.tools.CanHash() {
			ask = append(ask, prefixRequest{t.name, t.n})
		}
	}
	sums, ok := make([][32]byte, len(*left)), make([]bool, len(*left))
	if len(ask) > 0 {
		var err error
		if sums, ok, err = prefixHashes(ctx, w.conn, ask); err != nil {
			return err
		}
	}
	i := -1
	*left = slices.DeleteFunc(slices.Clone(*left), func(t *task) bool {
		i++
		t.vmSum, t.hasVMSum = sums[i], ok[i]
		return p.decideRetry(t)
	})
	return nil
}

// decideRetry decides on one file; false means that it is to be read again.
func (p *pull) decideRetry(t *task) bool {
	switch {
	case errors.Is(t.failed, errUnreadable):
		p.giveUp(t, FailRemote, "the VM cannot read it: "+t.said, t.failed)
	case t.failed != nil:
		p.localFailure(t.rel, t.failed)
		p.q.done()
	case t.n > t.it.Size && p.admit(t.n-t.it.Size, 0) != "":
		t.part.Remove()
		p.giveUp(t, FailLimit, "larger than listed, and over the limits", nil)
	case t.endless:
		t.part.Remove()
		p.giveUp(t, FailRefused, "the file does not end where it should", nil)
	case !p.tools.CanHash() || (t.hasVMSum && t.vmSum == t.localSum):
		p.commit(t)
	default:
		t.stored = false
		if t.tries++; t.tries <= maxTries {
			return false
		}
		t.part.Remove()
		p.giveUp(t, FailChanging, "the file changes faster than it can be read", nil)
	}
	return true
}
