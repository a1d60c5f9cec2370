package transfer

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

const (
	maxAhead      = 6 << 20 // bytes asked for and not yet here, per stream
	enoughAhead   = 4 << 20 // twice SSH's window, so that the VM never waits for names
	maxAheadTasks = 4096
)

// stream fetches small files over one connection: names go to two tools, one
// sends contents, the other hashes, in the same order, so that the VM's disk is
// read once. Both run in one session if that can be. Files are committed as soon
// as both have answered.
type stream struct {
	p        *pull
	zstd     bool             // the VM compresses
	combined bool             // data answers with hashes too, on stderr
	verifies bool             // the VM hashes
	data     *session.Session // bothCmd, tar, or the framed dd loop
	hash     *session.Session // nil if there is none of its own

	mu        sync.Mutex
	cond      *sync.Cond
	undecided map[*task]bool // without a verdict
	order     fifo[*task]    // asked for, contents not here yet
	hashes    fifo[*task]    // asked for, hash not here yet
	named     map[string]*task
	ahead     int64
	doubled   int         // how often the bounds of ahead and order were doubled
	nudged    bool        // just now
	timer     *time.Timer // of askMore
	dead      bool
	resting   bool // nothing more can be asked for at the moment
	closed    bool // nothing more will be asked for
	hashing   bool // only hashes are owed
	unwanted  int  // things that were not asked for
	wg        sync.WaitGroup
}

// stream fetches small files until none are left for now.
func (w *worker) stream(ctx context.Context) error {
	st := &stream{p: w.p, undecided: map[*task]bool{}, named: map[string]*task{}}
	st.cond = sync.NewCond(&st.mu)
	read := w.open(ctx, st)
	st.zstd = w.p.useZstd()
	var hashErr error
	switch {
	case st.combined:
		st.wg.Go(func() { hashErr = st.readHash(st.data, st.data.Err) })
	case st.hash != nil:
		st.wg.Go(func() {
			if hashErr = st.hash.Ready(); hashErr == nil {
				hashErr = st.readHash(st.hash, st.hash.Out)
			}
		})
	}
	asking, stopAsking := context.WithCancel(ctx)
	stop := w.p.q.wakeOn(asking)
	defer stop()
	st.wg.Go(func() { st.writeRequests(asking) })
	dataErr := read()
	st.kill()
	stopAsking()
	st.data.Stop()
	if st.hash != nil && dataErr != nil {
		st.hash.Stop()
	}
	st.wg.Wait()
	if st.hash != nil {
		st.hash.Stop()
	}
	err := errors.Join(dataErr, hashErr)
	if session.IsDrop(dataErr) || session.IsDrop(hashErr) || ctx.Err() != nil {
		st.requeue()
		if err == nil {
			err = ctx.Err()
		}
		return err
	}
	st.retryRest(dataErr)
	return nil
}

// open starts the sessions of a stream, or takes those that were opened early,
// and returns what reads the contents. After it the distance is known.
func (w *worker) open(ctx context.Context, st *stream) (read func() error) {
	t := w.p.tools
	st.verifies, st.combined = t.CanHash(), t.Combined() && !w.p.mixed.Load()
	if t.Tar == "none" {
		st.data, read = w.conn.Start(ctx, rangeCmd), st.readFramed
	} else {
		st.data, read = w.openTar(ctx, st.combined), st.readTar
	}
	if st.verifies && !st.combined {
		st.hash = w.conn.Start(ctx, hashCmd)
	}
	w.p.latency.wait(ctx)
	return read
}

// kill ends the request writer's waiting.
func (st *stream) kill() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.dead = true
	st.cond.Broadcast()
}

func (st *stream) add(t *task) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.undecided[t] = true
	if !t.stored {
		st.order.push(t)
		st.named[tarKey(t.name)] = t
		st.ahead += t.it.TarSize()
	}
	if st.combined {
		t.hasVMSum = false
	}
	if st.verifies && !t.hasVMSum {
		st.hashes.push(t)
	}
	st.oweLocked()
}

// oweLocked tells the sessions what the VM owes. Tools keep back the last of what
// they have until they are told more, or that this was all.
func (st *stream) oweLocked() {
	switch {
	case st.order.len() > 0 && (st.closed || !st.resting):
		st.data.Due("contents", 0)
	case !st.closed:
		st.data.Rest()
	case !st.combined:
		st.data.Due("contents", 0) // or that there are no more
	case !st.hashing:
		st.hashing = true
		st.data.Due("hashes", st.unhashedLocked())
	}
	if st.hash == nil {
		return
	}
	if !st.closed { // it answers by the hundred; the other session is watched
		st.hash.Rest()
	} else if !st.hashing {
		st.hashing = true
		st.hash.Due("hashes", st.unhashedLocked())
	}
}

// unhashedLocked is how long the VM may need for the hashes that are still to come.
func (st *stream) unhashedLocked() time.Duration {
	var bytes int64
	for _, t := range st.hashes.items[st.hashes.head:] {
		bytes += t.it.Size
	}
	return session.ToRead(bytes)
}

// rest notes whether nothing more can be asked for at the moment.
func (st *stream) rest(now bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.resting = now
	st.oweLocked()
}

// tarKey is a name as tar may give it back: without leading slashes or "./".
func tarKey(name string) string {
	for {
		switch {
		case strings.HasPrefix(name, "/"):
			name = name[1:]
		case strings.HasPrefix(name, "./"):
			name = name[2:]
		default:
			return name
		}
	}
}

// arrived finds the task that an entry of the stream is for, and forgets those
// before it: the VM skipped them.
func (st *stream) arrived(name string) *task {
	st.mu.Lock()
	defer st.mu.Unlock()
	t := st.named[tarKey(name)]
	if t == nil {
		return nil
	}
	for st.order.len() > 0 {
		first := st.order.pop()
		delete(st.named, tarKey(first.name))
		st.ahead -= first.it.TarSize()
		if first == t {
			break
		}
	}
	st.oweLocked()
	st.cond.Broadcast()
	return t
}

// stored notes that a task's content is here.
func (st *stream) stored(t *task) {
	st.mu.Lock()
	t.stored = true
	st.mu.Unlock()
	st.decide(t)
}

// decide decides on a task once both answers are there.
func (st *stream) decide(t *task) {
	st.mu.Lock()
	ready := st.undecided[t] && t.stored && (t.hasVMSum || !st.verifies)
	if ready {
		delete(st.undecided, t)
	}
	st.mu.Unlock()
	if !ready {
		return
	}
	if (st.verifies && t.vmSum != t.localSum) || (!st.verifies && t.n != t.it.Size) {
		if t.inPlace {
			t.inPlace, t.stored, t.hasVMSum = false, false, false
			st.p.q.putBack([]*task{t})
			return
		}
		t.tries++
		t.stored = t.n >= t.it.Size // what is too short is read again
		st.p.q.putRetry(t)
		return
	}
	st.p.commit(t)
}

// readHash reads the hashes that s sends as in, to their end. A session whose
// hashes make no sense is ended.
func (st *stream) readHash(s *session.Session, in *bufio.Reader) error {
	err := st.readHashes(in)
	if !errors.Is(err, io.EOF) {
		s.Abort()
	}
	return s.End(err)
}

func (st *stream) readHashes(in *bufio.Reader) error {
	for odd := 0; odd < maxUnaskedLines; {
		line, err := readLine(in)
		if err != nil {
			return err
		}
		sum, ok := parseHash(line)
		if !ok || len(line) < 66 {
			odd++ // the tool's own words
			continue
		}
		if t := st.hashed(line[66:]); t == nil {
			odd++
		} else {
			t.vmSum = sum
			if st.combined {
				st.data.Came(len(line) + 1)
			}
			st.mu.Lock()
			t.hasVMSum = true
			st.mu.Unlock()
			st.decide(t)
		}
	}
	return session.BadAnswer{Err: errUnrequested}
}

// maxOddLines bounds the lines of an answer that are about nothing asked for.
const maxUnaskedLines = 10_000

// hashed finds the task that a hash is for.
func (st *stream) hashed(name string) *task {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i := st.hashes.head; i < len(st.hashes.items); i++ {
		if t := st.hashes.items[i]; t.name == name {
			for st.hashes.pop() != t {
				continue
			}
			return t
		}
	}
	return nil
}

// requeue returns everything without a verdict to the queue, after a drop.
func (st *stream) requeue() {
	var back []*task
	for t := range st.undecided {
		if t.drops++; t.drops > maxDrops {
			st.p.giveUp(t, FailLost, "the connection dropped each time it was on its way", nil)
			continue
		}
		back = append(back, t)
	}
	st.p.q.putBack(back)
}

// maxDrops bounds how often one file may be on its way when a connection drops.
const maxDrops = 10

// retryRest hands what a command that ended did not deliver over to be read by
// itself; after a stream that made no sense most of it is simply asked for again.
func (st *stream) retryRest(err error) {
	var back []*task
	for t := range st.undecided {
		if err != nil && t.drops < 1 {
			t.drops++
			back = append(back, t)
			continue
		}
		st.p.q.putRetry(t)
	}
	st.p.q.putBack(back)
}

func hexString(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
