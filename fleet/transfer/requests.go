package transfer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"
)

// requestWriter writes names to the sessions of a stream. It gathers them: an SSH
// packet per name would cost more than the files.
type requestWriter struct {
	st         *stream
	data, hash *bufio.Writer // hash is nil if hashes have no session of their own
}

// writeRequests asks for files as the queue has them, never too far ahead, so that
// several connections share the work evenly.
func (st *stream) writeRequests(ctx context.Context) {
	f := &requestWriter{st: st, data: bufio.NewWriterSize(st.data.In, 16<<10)}
	if st.hash != nil {
		f.hash = bufio.NewWriterSize(st.hash.In, 16<<10)
	}
	defer st.closeRequests()
	if f.begin() == nil && f.run(ctx) == nil {
		_ = f.flush()
	}
}

// closeRequests says that nothing more will be asked for.
func (st *stream) closeRequests() {
	st.mu.Lock()
	st.closed = true
	st.oweLocked()
	st.cond.Broadcast()
	st.mu.Unlock()
	_ = st.data.In.Close()
	if st.hash != nil {
		_ = st.hash.In.Close()
	}
}

// begin sends the first lines, which say how to work.
func (f *requestWriter) begin() error {
	if f.st.p.tools.Tar != "none" {
		how := "g\n"
		if f.st.zstd {
			how = "z\n"
		} else if f.st.p.tools.Tar == "plain" {
			how = "x\n"
		}
		if _, err := f.data.WriteString(how); err != nil {
			return err
		}
	}
	to := f.hash
	if f.st.combined {
		to = f.data
	}
	if to == nil {
		return nil
	}
	_, err := fmt.Fprintf(to, "%d\n", f.st.p.q.hashBatch())
	return err
}

// run asks until nothing is left or the stream is dead.
func (f *requestWriter) run(ctx context.Context) error {
	q := f.st.p.q
	for n := 0; ; {
		batch, ok := q.takeBatch(ctx, false)
		if !ok {
			if err := f.flush(); err != nil {
				return err
			}
			f.st.rest(true)
			if batch, ok = q.takeBatch(ctx, true); !ok {
				return nil
			}
			f.st.rest(false)
		}
		asked, err := f.askAll(ctx, batch, n)
		if n += asked; asked < len(batch) {
			q.putBack(batch[asked:])
			return err
		}
	}
}

// askAll asks for files and returns for how many it did; n were asked for before.
func (f *requestWriter) askAll(ctx context.Context, batch []*task, n int) (int, error) {
	for i, t := range batch {
		if !f.st.hasRoom(n + i) {
			if err := f.flush(); err != nil {
				return i, err
			}
			if !f.st.room(ctx) {
				return i, nil
			}
		}
		if f.st.combined && t.stored {
			f.st.p.mixed.Store(true) // the next stream has a session for each tool
			return i, nil
		}
		if err := f.ask(t); err != nil {
			return i + 1, err
		}
	}
	return len(batch), nil
}

// ask asks for one file.
func (f *requestWriter) ask(t *task) error {
	f.st.add(t)
	if !t.stored {
		if _, err := f.data.WriteString(f.st.request(t)); err != nil {
			return err
		}
	}
	if f.hash != nil && !t.hasVMSum {
		if _, err := io.WriteString(f.hash, t.name+"\x00"); err != nil {
			return err
		}
	}
	return nil
}

func (f *requestWriter) flush() error {
	err := f.data.Flush()
	if f.hash != nil && err == nil {
		err = f.hash.Flush()
	}
	return err
}

// hasRoom tells whether more may be asked for at once. A plain tar works by the
// handful: only between handfuls may the writer wait.
func (st *stream) hasRoom(n int) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.dead && (st.roomLocked() || (st.p.tools.Tar == "plain" && n%plainTarBatch != 0))
}

func (st *stream) roomLocked() bool {
	return st.ahead <= maxAhead<<st.doubled && st.order.len() <= maxAheadTasks<<st.doubled
}

// room waits until a good part of what may be on its way has come: names go in
// handfuls, too. It is false if the stream is dead.
//
// What compresses to almost nothing can all be on its way and yet wait in the
// compressor's last few kilobytes. If nothing comes for a while, more is asked
// for, and from then on sooner.
func (st *stream) room(ctx context.Context) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.zstd {
		st.timer = time.AfterFunc(st.patience(), st.askMore)
		defer func() { st.timer.Stop(); st.timer = nil }()
	}
	for !st.dead && ctx.Err() == nil && !st.nudged && (st.ahead > enoughAhead<<st.doubled || st.order.len() > maxAheadTasks/2<<st.doubled) {
		st.cond.Wait()
	}
	st.nudged = false
	return !st.dead && ctx.Err() == nil
}

// patience is how long a wait for compressed data is no sign of trouble.
func (st *stream) patience() time.Duration { return 300*time.Millisecond + 4*st.p.latency.rtt() }

// mostMore bounds how often askMore doubles what may be on its way.
const mostMore = 4

func (st *stream) askMore() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.timer == nil {
		return // the wait is over
	}
	if silent := st.data.Silent(); silent < st.patience() {
		st.timer.Reset(st.patience() - silent)
	} else if st.doubled < mostMore {
		st.doubled++
		st.nudged = true
		st.cond.Broadcast()
	}
}

const (
	requestBatch = 64      // files taken at once: a wake-up for each would cost more than they do
	requestBytes = 1 << 20 // bytes, about
)

// takeBatch takes a few small files. Without wait it does not wait for any; with
// it, ok is false when none will come for now, as with takeSmall.
func (q *queue) takeBatch(ctx context.Context, wait bool) (ts []*task, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.small.len() == 0 {
		if !wait || q.closed || q.stopped(ctx) != nil {
			return nil, false
		}
		q.cond.Wait()
	}
	if q.stopped(ctx) != nil {
		return nil, false
	}
	for bytes := int64(0); q.small.len() > 0 && len(ts) < requestBatch && bytes < requestBytes; {
		t := q.popSmallLocked()
		bytes += t.it.Size
		ts = append(ts, t)
	}
	return ts, true
}
