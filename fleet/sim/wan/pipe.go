package wan

import (
	"context"
	"net"
	"sync"
	"time"
)

// pipe is one relayed connection.
type pipe struct {
	relay   *Relay
	client  *net.TCPConn
	turns   turns
	born    time.Time
	done    <-chan struct{}
	end     context.CancelFunc // closes done; called by cut
	cutOnce sync.Once
	mu      sync.Mutex // guards target
	target  *net.TCPConn
}

// cut resets both ends at once.
func (p *pipe) cut() {
	p.cutOnce.Do(func() {
		p.end()
		reset(p.client)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.target != nil {
			reset(p.target)
		}
	})
}

func (p *pipe) run(ctx context.Context) {
	defer p.end()
	defer p.relay.remove(p)
	rtt := p.relay.opt.RTT
	p.sleepUntil(p.born.Add(rtt / 2)) // the SYN travels
	if err := p.dial(ctx); err != nil {
		p.sleepUntil(p.born.Add(rtt))
		p.cut()
		return
	}
	// The client may send when the SYN-ACK is back, the target once the
	// client's ACK has arrived.
	up := newFlow(p, p.client, p.target, &p.relay.up, p.born.Add(rtt))
	down := newFlow(p, p.target, p.client, &p.relay.down, p.born.Add(rtt+rtt/2))
	down.towardsClient = true
	var wg sync.WaitGroup
	for _, f := range []*flow{up, down} {
		wg.Go(f.take)
		wg.Go(f.give)
	}
	wg.Wait()
	_ = p.client.Close()
	_ = p.target.Close()
}

func (p *pipe) dial(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.relay.target)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = c.(*net.TCPConn)
	if ctx.Err() != nil { // cut meanwhile, and cut saw no target
		reset(p.target)
	}
	return ctx.Err()
}

// sleepUntil waits for t and tells whether the connection was not cut meanwhile.
func (p *pipe) sleepUntil(t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}
