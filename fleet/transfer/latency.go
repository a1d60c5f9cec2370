package transfer

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// pingCmd answers each line of stdin with a byte; so does tarCmd before it is
// told how to work.
const pingCmd = session.Pre + `while read -r p; do printf p; done` + session.Post

// latency is the round-trip time to the VM. It is measured on a session that
// is open already, so that neither the login nor a slow shell is taken for
// distance.
type latency struct {
	ns      atomic.Int64
	claimed atomic.Bool
	once    sync.Once
	done    chan struct{}
}

// rtt is the round-trip time, 0 while it is not known.
func (d *latency) rtt() time.Duration { return time.Duration(d.ns.Load()) }

// known tells whether it has been measured.
func (d *latency) known() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// wait waits until it is known.
func (d *latency) wait(ctx context.Context) {
	select {
	case <-d.done:
	case <-ctx.Done():
	}
}

// measure starts a measurement on a session of its own, unless one has begun.
func (d *latency) measure(ctx context.Context, c *session.Conn) {
	if d.claimed.Swap(true) {
		return
	}
	s := c.Start(ctx, pingCmd)
	defer s.Stop()
	d.ping(s)
}

// ping measures on a session that answers lines.
func (d *latency) ping(s *session.Session) {
	defer d.set(0) // if it fails, the distance counts as none
	if s.Ready() != nil {
		return
	}
	began := time.Now()
	if _, err := io.WriteString(s.In, "p\n"); err != nil {
		return
	}
	if _, err := s.Out.ReadByte(); err == nil {
		d.set(time.Since(began))
	}
}

// set makes it known; only the first call counts.
func (d *latency) set(rtt time.Duration) {
	d.once.Do(func() {
		d.ns.Store(int64(rtt))
		close(d.done)
	})
}
