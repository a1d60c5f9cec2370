package transfer

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// pingCmd answers each line of stdin with a byte; so does tarCmd before it is
// told how to work.
const pingCmd = pre + `while read -r p; do printf p; done` + post

// distance is the round-trip time to the VM. It is measured on a session that
// is open already, so that neither the login nor a slow shell is taken for
// distance.
type distance struct {
	ns    atomic.Int64
	begun atomic.Bool
	once  sync.Once
	done  chan struct{}
}

// rtt is the round-trip time, 0 while it is not known.
func (d *distance) rtt() time.Duration { return time.Duration(d.ns.Load()) }

// known tells whether it has been measured.
func (d *distance) known() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// wait waits until it is known.
func (d *distance) wait(ctx context.Context) {
	select {
	case <-d.done:
	case <-ctx.Done():
	}
}

// need starts a measurement on a session of its own, unless one has begun.
func (d *distance) need(ctx context.Context, c Conn) {
	if d.begun.Swap(true) {
		return
	}
	s := startSession(ctx, c, pingCmd)
	defer s.stop()
	d.ping(s)
}

// ping measures on a session that answers lines.
func (d *distance) ping(s *session) {
	defer d.settle(0) // if it fails, the distance counts as none
	if s.ready() != nil {
		return
	}
	began := time.Now()
	if _, err := io.WriteString(s.in, "p\n"); err != nil {
		return
	}
	if _, err := s.out.ReadByte(); err == nil {
		d.settle(time.Since(began))
	}
}

// settle makes it known; only the first call counts.
func (d *distance) settle(rtt time.Duration) {
	d.once.Do(func() {
		d.ns.Store(int64(rtt))
		close(d.done)
	})
}
