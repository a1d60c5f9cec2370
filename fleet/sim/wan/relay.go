package wan

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// buffer bounds the bytes under way per direction of a connection, as socket
// buffers do.
const buffer = 64 << 20

// Options says how far away the target is. The zero value relays at once.
type Options struct {
	// RTT is the round-trip time; each direction takes half of it.
	RTT time.Duration
	// BytesPerSecond is the speed of the link in each direction, shared by all
	// connections; 0 is unlimited.
	BytesPerSecond int64
}

// Relay listens on loopback and passes connections on to a target. Its methods
// are safe for concurrent use.
type Relay struct {
	// Addr is where clients connect, host:port.
	Addr string

	target   string
	opt      Options
	listener net.Listener
	up, down link         // towards the target, towards the client
	turns    atomic.Int64 // heard by clients
	wg       sync.WaitGroup

	mu     sync.Mutex // guards what follows
	pipes  map[*pipe]struct{}
	closed bool
}

// Listen starts a relay from a port on loopback to target. It runs until Close
// or until ctx ends.
func Listen(ctx context.Context, target string, o Options) (*Relay, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{
		Addr: l.Addr().String(), target: target, opt: o, listener: l,
		up: link{rate: o.BytesPerSecond}, down: link{rate: o.BytesPerSecond},
		pipes: map[*pipe]struct{}{},
	}
	r.wg.Go(r.serve)
	context.AfterFunc(ctx, r.Close)
	return r, nil
}

// RoundTrips counts those of all connections so far, that of TCP included.
func (r *Relay) RoundTrips() int { return int(r.turns.Load() / 2) }

// Drop resets every connection that is open now.
func (r *Relay) Drop() {
	r.mu.Lock()
	pipes := make([]*pipe, 0, len(r.pipes))
	for p := range r.pipes {
		pipes = append(pipes, p)
	}
	r.mu.Unlock()
	for _, p := range pipes {
		p.cut()
	}
}

// Close stops listening and resets every connection.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	_ = r.listener.Close()
	r.Drop()
	r.wg.Wait()
}

func (r *Relay) serve() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		client := c.(*net.TCPConn)
		ctx, end := context.WithCancel(context.Background())
		p := &pipe{relay: r, client: client, turns: newTurns(&r.turns), born: time.Now(), done: ctx.Done(), end: end}
		if !r.add(p) {
			end()
			reset(client)
			continue
		}
		r.wg.Go(func() { p.run(ctx) })
	}
}

// add admits a connection unless the relay is closed.
func (r *Relay) add(p *pipe) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.pipes[p] = struct{}{}
	return true
}

func (r *Relay) remove(p *pipe) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pipes, p)
}

// reset closes c with RST instead of FIN, as a vanished peer's router does.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // an error says that it is closed already
	_ = c.Close()
}
