package transfer

import (
	"context"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
)

// task is one file that is wanted.
type task struct {
	it       listing.Item
	rel      string    // below Dest
	name     string    // on the VM
	part     dest.Part // its unfinished content here
	tries    int       // times that reading it gave something else than the VM's hash
	drops    int       // times that the connection dropped while it was on its way
	n        int64     // bytes here
	localSum [32]byte  // SHA-256 of them
	inPlace  bool      // the content is the file in place (--checksum), not in the partial folder
	stored   bool      // n and local are valid: the content is in the partial folder
	vmSum    [32]byte  // SHA-256 computed on the VM
	hasVMSum bool      // sum is valid
	// set while it is retried:
	failed  error  // reading or writing it failed
	said    string // the VM's words on that
	endless bool   // more came than can be
}

func (p *pull) newTask(it *listing.Item) *task {
	rel := it.Rel()
	return &task{it: *it, rel: rel, name: it.Remote(), part: p.d.Part(rel)}
}

// maxQueued bounds the tasks that wait; the listing waits when it is reached.
const maxQueued = 20_000

// queue holds what is still to do, in four kinds: small files (streams of tar),
// chunks of large files, files to retry one by one, and large files not begun.
// Safe for concurrent use.
type queue struct {
	mu         sync.Mutex
	cond       *sync.Cond
	small      fifo[*task]
	retry      fifo[*task]
	large      fifo[*task]
	active     []*large
	queued     int   // waiting in small and large
	bytes      int64 // waiting in small and large
	smallBytes int64 // of bytes: in small
	opening    int   // large files that are being opened
	undecided  int   // tasks without an outcome
	closed     bool  // no more will be put
	err        error // everything stops
}

// fifo is a queue that lets go of what was taken.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) push(v T) { f.items = append(f.items, v) }
func (f *fifo[T]) len() int { return len(f.items) - f.head }
func (f *fifo[T]) pop() T {
	var zero T
	v := f.items[f.head]
	f.items[f.head] = zero
	if f.head++; f.head > 1024 && f.head*2 > len(f.items) {
		f.items = append(f.items[:0], f.items[f.head:]...)
		f.head = 0
	}
	return v
}

func newQueue() *queue {
	q := &queue{}
	q.cond = sync.NewCond(&q.mu)
	return q
}

// wakeOn wakes everybody when ctx ends; call it in a goroutine.
func (q *queue) wakeOn(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.cond.Broadcast()
	})
}

// put adds tasks; it waits while too many do.
func (q *queue) put(ctx context.Context, isLarge bool, ts ...*task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.queued >= maxQueued && ctx.Err() == nil && q.err == nil {
		q.cond.Wait()
	}
	if err := q.stopped(ctx); err != nil {
		return err
	}
	q.undecided += len(ts)
	for _, t := range ts {
		q.addLocked(t, isLarge)
	}
	q.cond.Broadcast()
	return nil
}

func (q *queue) addLocked(t *task, isLarge bool) {
	q.queued++
	q.bytes += t.it.Size
	if isLarge {
		q.large.push(t)
	} else {
		q.small.push(t)
		q.smallBytes += t.it.Size
	}
}

// putSingle adds a task that is read by itself from the start.
func (q *queue) putSingle(ctx context.Context, t *task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.retry.len() >= maxQueued && q.stopped(ctx) == nil {
		q.cond.Wait()
	}
	if err := q.stopped(ctx); err != nil {
		return err
	}
	q.undecided++
	q.retry.push(t)
	q.cond.Broadcast()
	return nil
}

// putBack puts tasks back after a drop.
func (q *queue) putBack(tasks []*task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range tasks {
		q.addLocked(t, false)
	}
	q.cond.Broadcast()
}

// putRetry hands a task over to be read by itself.
func (q *queue) putRetry(t *task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.retry.push(t)
	q.cond.Broadcast()
}

// takeSmall waits for a small file. ok is false when none will come for now:
// the listing is complete and nothing waits, or everything stops.
func (q *queue) takeSmall(ctx context.Context) (t *task, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.stopped(ctx) != nil {
			return nil, false
		}
		if q.small.len() > 0 {
			return q.popSmallLocked(), true
		}
		if q.closed {
			return nil, false
		}
		q.cond.Wait()
	}
}

func (q *queue) popSmallLocked() *task {
	t := q.small.pop()
	q.smallBytes -= t.it.Size
	q.tookLocked(t)
	return t
}

func (q *queue) tookLocked(t *task) {
	q.bytes -= t.it.Size
	if q.queued--; q.queued == maxQueued-1 {
		q.cond.Broadcast() // put may go on
	}
}

// waitSmall waits until there is a small file (true) or all is done (false).
func (q *queue) waitSmall(ctx context.Context) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.small.len() == 0 && !q.finishedLocked(ctx) {
		q.cond.Wait()
	}
	return !q.finishedLocked(ctx)
}

// muchWaiting is how many bytes of small files are worth a further session.
const manyBytes = 4 << 20

// waitMany waits until that many wait (true) or all is done (false).
func (q *queue) waitMany(ctx context.Context) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.smallBytes < manyBytes && !q.finishedLocked(ctx) {
		q.cond.Wait()
	}
	return !q.finishedLocked(ctx)
}

// takeRetry waits for tasks to retry; none means that all is done.
func (q *queue) takeRetry(ctx context.Context, most int) []*task {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.retry.len() == 0 && !q.finishedLocked(ctx) {
		q.cond.Wait()
	}
	var ts []*task
	for q.retry.len() > 0 && len(ts) < most && q.stopped(ctx) == nil {
		ts = append(ts, q.retry.pop())
	}
	q.cond.Broadcast()
	return ts
}

// done notes a task's outcome.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.undecided--; q.undecided == 0 {
		q.cond.Broadcast()
	}
}

// closePut says that the listing is complete.
func (q *queue) closePut() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Broadcast()
}

// stop ends everything.
func (q *queue) stop(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.cond.Broadcast()
}

func (q *queue) stopped(ctx context.Context) error {
	if q.err != nil {
		return q.err
	}
	return ctx.Err()
}

func (q *queue) finishedLocked(ctx context.Context) bool {
	return q.stopped(ctx) != nil || (q.closed && q.undecided == 0)
}

// finished tells whether nothing is left to do.
func (q *queue) finished(ctx context.Context) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.finishedLocked(ctx)
}

// hashBatch is how many files the VM is to hash per run of its tool: about
// 32 MiB, so that hashes do not lag far behind contents, and not so few that
// starting the tool (3 ms) matters.
func (q *queue) hashBatch() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	average := q.bytes / int64(max(q.queued, 1))
	return min(max(32<<20/max(average, 1), 32), 2048)
}

// left is how many bytes wait to be fetched, chunks of large files included.
func (q *queue) left() (bytes int64, tasks int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes, tasks = q.bytes, q.undecided
	for _, l := range q.active {
		bytes += l.waiting()
	}
	return bytes, tasks
}
