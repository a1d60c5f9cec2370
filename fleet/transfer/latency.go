package transfer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

const (
	// pings is how many round trips are measured: the least counts, because one
	// alone reads 20 or 30 ms on a busy VM next door.
	pings = 4
	// pingPatience bounds the wait for an answer.
	pingPatience = 5 * time.Second
)

// latency is the round-trip time to the VM's SSH server, so that neither the
// login nor a slow shell is taken for distance.
type latency struct {
	ns   atomic.Int64
	once sync.Once
	done chan struct{}
}

func newLatency() *latency { return &latency{done: make(chan struct{})} }

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

// measure takes several samples; it is known from the first on. If there is no
// answer, the distance counts as none.
func (d *latency) measure(ctx context.Context, c *session.Conn) {
	defer d.once.Do(func() { close(d.done) })
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	for range pings {
		began := time.Now()
		if c.Ping(ctx) != nil {
			return
		}
		took := int64(max(time.Since(began), 1))
		if least := d.ns.Load(); least == 0 || took < least {
			d.ns.Store(took)
		}
		d.once.Do(func() { close(d.done) })
	}
}
