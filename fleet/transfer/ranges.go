package transfer

import (
	"context"
	"errors"
	"io"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// rangesAhead is how many chunks one connection has asked for beyond the one
// that is arriving and one more: enough to fill SSH's window of 2 MiB, few enough
// that all connections end together.
const rangesAhead = 1

// chunkJob is a chunk that was asked for.
type chunkJob struct {
	l *large
	s byteRange
}

// ranges fetches chunks of large files over one session until none are left.
func (w *worker) ranges(ctx context.Context) error {
	first, ok, err := w.nextChunk(ctx)
	if !ok {
		return err
	}
	s := w.conn.Start(ctx, rangeCmd)
	defer s.Stop()
	jobs := make(chan chunkJob, rangesAhead)
	asking, stopAsking := context.WithCancel(ctx)
	wake := w.p.q.wakeOn(asking)
	defer wake()
	asked := make(chan error, 1)
	go func() { asked <- w.requestRanges(asking, s, first, jobs) }()
	defer w.p.q.wake() // chunks given back are for others now
	if err = s.Ready(); err != nil {
		stopAsking()
	}
	buf := make([]byte, 256<<10)
	for job := range jobs {
		s.Due("contents", 0)
		if err != nil {
			job.l.finished(job.s, !session.IsDrop(err))
			continue
		}
		if err = w.chunk(s, job, buf); err != nil {
			stopAsking()
			s.Stop()
		}
		if len(jobs) == 0 {
			s.Rest()
		}
	}
	stopAsking()
	if e := <-asked; err == nil {
		err = e
	}
	if session.IsDrop(err) || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}

// nextChunk takes a chunk, and opens large files on the way to it.
func (w *worker) nextChunk(ctx context.Context) (chunkJob, bool, error) {
	for {
		job, t, ok := w.p.q.takeChunk(ctx)
		if !ok {
			return chunkJob{}, false, nil
		}
		if t == nil {
			return job, true, nil
		}
		if err := w.p.activate(ctx, w.conn, t); err != nil {
			return chunkJob{}, false, err
		}
	}
}

// requestRanges asks for chunks as the queue has them.
func (w *worker) requestRanges(ctx context.Context, s *session.Session, job chunkJob, jobs chan<- chunkJob) error {
	defer close(jobs)
	defer func() { _ = s.In.Close() }()
	for {
		s.Due("contents", 0)
		_, err := io.WriteString(s.In, rangeRequest(job.l.t.name, job.s, w.p.trailer))
		if err != nil {
			job.l.finished(job.s, false)
			return s.Wait() // it has ended
		}
		jobs <- job
		var ok bool
		if job, ok, err = w.nextChunk(ctx); !ok {
			return err
		}
	}
}

// chunk reads one chunk; an error ends the session.
func (w *worker) chunk(s *session.Session, job chunkJob, buf []byte) error {
	at := job.s
	noted := at.off
	w.p.c.at(job.l.t.rel)
	for at.len() > 0 {
		n, err := fill(io.LimitReader(s.Out, at.len()), buf)
		if n > 0 {
			if err := job.l.write(buf[:n], at.off); err != nil {
				job.l.fail(err)
				job.l.finished(byteRange{}, false)
				return session.ErrStopped
			}
			at.off += int64(n)
			w.p.c.have(int64(n), int64(n))
			if at.off-noted >= 1<<20 {
				job.l.note(byteRange{noted, at.off})
				noted = at.off
			}
		}
		if err != nil && at.len() > 0 {
			job.l.note(byteRange{noted, at.off})
			err = s.End(err)
			job.l.finished(at, !session.IsDrop(err))
			if err == nil {
				err = session.BadAnswer{Err: errShort}
			}
			return err
		}
	}
	if err := checkTrailer(s.Out, w.p.trailer); err != nil {
		bad := s.End(err)
		job.l.finished(job.s, !session.IsDrop(bad))
		if bad == nil {
			bad = session.BadAnswer{Err: errShort}
		}
		return bad
	}
	job.l.note(byteRange{noted, at.end})
	job.l.finished(byteRange{}, false)
	return nil
}

// takeChunk waits for a chunk, or for a large file to open (t). ok is false
// when all is done.
func (q *queue) takeChunk(ctx context.Context) (job chunkJob, t *task, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.finishedLocked(ctx) {
			return chunkJob{}, nil, false
		}
		for _, l := range q.active {
			if s, ok := l.next(); ok {
				return chunkJob{l, s}, nil, true
			}
		}
		if q.large.len() > 0 && len(q.active)+q.opening < maxActive {
			t := q.large.pop()
			q.tookLocked(t)
			q.opening++
			return chunkJob{}, t, true
		}
		q.cond.Wait()
	}
}

// maxActive bounds the large files that are open at once.
const maxActive = 8

// activated adds an opened large file; nil if it could not be opened.
func (q *queue) activated(l *large) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opening--
	if l != nil {
		q.active = append(q.active, l)
	}
	q.cond.Broadcast()
}

// retired takes a large file out.
func (q *queue) retired(l *large) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, a := range q.active {
		if a == l {
			q.active = append(q.active[:i:i], q.active[i+1:]...)
			break
		}
	}
	q.cond.Broadcast()
}

// wake wakes everybody who waits for chunks.
func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cond.Broadcast()
}
