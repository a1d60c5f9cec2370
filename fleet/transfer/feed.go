package transfer

import (
	"bufio"
	"context"
	"fmt"
	"io"
)

// feeder writes names to the sessions of a stream. It gathers them: an SSH
// packet per name would cost more than the files.
type feeder struct {
	st         *stream
	data, hash *bufio.Writer // hash is nil if the VM cannot hash
}

// feed asks for files as the queue has them, never too far ahead, so that
// several connections share the work evenly.
func (st *stream) feed(ctx context.Context) {
	f := &feeder{st: st, data: bufio.NewWriterSize(st.data.in, 16<<10)}
	if st.hash != nil {
		f.hash = bufio.NewWriterSize(st.hash.in, 16<<10)
	}
	defer st.endFeed()
	if f.begin() == nil && f.run(ctx) == nil {
		_ = f.flush()
	}
}

// endFeed says that nothing more will be asked for.
func (st *stream) endFeed() {
	st.mu.Lock()
	st.fed = true
	st.cond.Broadcast()
	st.mu.Unlock()
	_ = st.data.in.Close()
	if st.hash != nil {
		_ = st.hash.in.Close()
	}
}

// begin sends the first lines, which say how to work.
func (f *feeder) begin() error {
	if f.st.p.tools.tar != "none" {
		how := "g\n"
		if f.st.zstd {
			how = "z\n"
		} else if f.st.p.tools.tar == "plain" {
			how = "x\n"
		}
		if _, err := f.data.WriteString(how); err != nil {
			return err
		}
	}
	if f.hash == nil {
		return nil
	}
	_, err := fmt.Fprintf(f.hash, "%d\n", f.st.p.q.hashBatch())
	return err
}

// run feeds until nothing is left or the stream is dead.
func (f *feeder) run(ctx context.Context) error {
	for n := 0; ; n++ {
		if !f.st.hasRoom(n) {
			if err := f.flush(); err != nil {
				return err
			}
			if !f.st.room(ctx) {
				return nil
			}
		}
		t, ok := f.st.p.q.trySmall(ctx)
		if !ok {
			if err := f.flush(); err != nil {
				return err
			}
			if t, ok = f.st.p.q.takeSmall(ctx); !ok {
				return nil
			}
		}
		if err := f.ask(t); err != nil {
			return err
		}
	}
}

// ask asks for one file.
func (f *feeder) ask(t *task) error {
	f.st.add(t)
	name := t.it.remote()
	if !t.got {
		if _, err := f.data.WriteString(f.st.request(t, name)); err != nil {
			return err
		}
	}
	if f.hash != nil && !t.proof {
		if _, err := io.WriteString(f.hash, name+"\x00"); err != nil {
			return err
		}
	}
	return nil
}

func (f *feeder) flush() error {
	err := f.data.Flush()
	if f.hash != nil && err == nil {
		err = f.hash.Flush()
	}
	return err
}

// hasRoom tells whether more may be asked for at once. A plain tar works by the
// handful: only between handfuls may the feeder wait.
func (st *stream) hasRoom(n int) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.dead && (st.roomLocked() || (st.p.tools.tar == "plain" && n%plainTarBatch != 0))
}

func (st *stream) roomLocked() bool {
	return st.ahead <= maxAhead && st.order.len() <= maxAheadTasks
}

// room waits until not too much is on its way; false if the stream is dead.
func (st *stream) room(ctx context.Context) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	for !st.dead && ctx.Err() == nil && !st.roomLocked() {
		st.cond.Wait()
	}
	return !st.dead && ctx.Err() == nil
}

// trySmall is takeSmall without waiting.
func (q *queue) trySmall(ctx context.Context) (t *task, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped(ctx) != nil || q.small.len() == 0 {
		return nil, false
	}
	t = q.small.pop()
	q.tookLocked(t)
	return t, true
}
