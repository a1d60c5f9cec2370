package wan

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// defaultWindow bounds the bytes under way per direction of a connection.
const defaultWindow = 64 << 20

// Options says how far away the target is. The zero value relays at once.
type Options struct {
	// RTT is the round-trip time; each direction takes half of it.
	RTT time.Duration
	// BytesPerSecond is the speed of the link in each direction, shared by all
	// connections; 0 is unlimited.
	BytesPerSecond int64
	// Window bounds the bytes under way per direction of one connection, as
	// socket buffers do; 0 is 64 MiB.
	Window int64
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
	toClient atomic.Int64 // bytes delivered
	toTarget atomic.Int64
	accepted atomic.Int64
	turns    atomic.Int64 // heard by clients
	wg       sync.WaitGroup

	mu      sync.Mutex // guards what follows
	pipes   map[*pipe]struct{}
	closed  bool
	refuse  bool
	hole    bool
	resume  chan struct{} // not nil while paused; closed when it goes on
	cutLeft int64         // bytes towards clients until the cut; 0 is none planned
}

// Listen starts a relay from the address listen (empty: any port on loopback)
// to target. It runs until Close or until ctx ends.
func Listen(ctx context.Context, listen, target string, o Options) (*Relay, error) {
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
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

// Stats counts what passed so far.
type Stats struct {
	Connections        int
	ToTarget, ToClient int64 // bytes delivered
	RoundTrips         int   // of all connections, that of TCP included
}

// Stats returns the counts at this moment.
func (r *Relay) Stats() Stats {
	return Stats{
		Connections: int(r.accepted.Load()),
		ToTarget:    r.toTarget.Load(), ToClient: r.toClient.Load(),
		RoundTrips: int(r.turns.Load() / 2),
	}
}

// Close stops listening and resets every connection.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.listener.Close()
	r.Drop()
	r.wg.Wait()
}

func (r *Relay) serve() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.accepted.Add(1)
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

// add admits a connection unless the relay is closed or refuses.
func (r *Relay) add(p *pipe) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.refuse {
		return false
	}
	if r.hole {
		p.lost.Store(true)
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
	c.Close()
}
