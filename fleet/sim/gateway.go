package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tlsTimeout   = 30 * time.Second
	loginTimeout = 60 * time.Second
)

// errTurnedAway ends a TLS handshake that a fault or an unknown name stops.
var errTurnedAway = errors.New("connection turned away")

// gateway terminates TLS for all VMs and hands the stream to the VM that the
// client's SNI names.
type gateway struct {
	sim      *Sim
	listener net.Listener
	handlers sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]*VM // nil VM: not known yet
	closed bool
}

func listenGateway(s *Sim, addr string) (*gateway, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	g := &gateway{sim: s, listener: l, conns: make(map[net.Conn]*VM)}
	g.handlers.Go(func() { g.accept() })
	return g, nil
}

func (g *gateway) addr() string { return g.listener.Addr().String() }

func (g *gateway) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of file descriptors: others will close theirs
			continue
		}
		if !g.track(conn, nil) {
			_ = conn.Close()
			return
		}
		g.handlers.Go(func() {
			defer g.forget(conn)
			g.serve(conn)
		})
	}
}

func (g *gateway) track(conn net.Conn, vm *VM) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.conns[conn] = vm
	return true
}

func (g *gateway) forget(conn net.Conn) {
	_ = conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}

// cut resets the connections of one VM, or all with nil.
func (g *gateway) cut(vm *VM) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn, owner := range g.conns {
		if vm == nil || owner == vm {
			abort(conn)
		}
	}
}

func (g *gateway) close() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	err := g.listener.Close()
	g.cut(nil)
	g.handlers.Wait()
	return err
}

// serve takes one connection through TLS to the VM that it names.
func (g *gateway) serve(conn net.Conn) {
	meter := &meteredConn{Conn: conn, sim: g.sim}
	var vm *VM
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		vm = g.named(hello.ServerName)
		cert, err := g.welcome(hello.Context(), meter, vm)
		if err != nil {
			return nil, err
		}
		return &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}, nil
	}
	stream := tls.Server(meter, config)
	ctx, cancel := context.WithCancel(g.sim.ctx)
	defer cancel()
	_ = conn.SetDeadline(time.Now().Add(tlsTimeout))
	if err := stream.HandshakeContext(ctx); err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	if vm == nil {
		return
	}
	g.track(conn, vm)
	if !vm.running() {
		return
	}
	guest, err := vm.boot()
	if err != nil {
		g.sim.cfg.Logf("sim: %v", err)
		return
	}
	meter.reached(stageKEX)
	var through net.Conn = stream
	if meter.from == stageLogin {
		through = &loginStream{Conn: stream, meter: meter, said: []byte{}}
	}
	guest.serve(ctx, through)
	_ = stream.Close()
}

// named finds the VM of a TLS server name, nil if there is none.
func (g *gateway) named(server string) *VM {
	id, found := strings.CutSuffix(strings.ToLower(server), "."+vmDomain)
	if !found {
		return nil
	}
	vm := g.sim.vmByID(id)
	if vm == nil || !vm.deletedAt().IsZero() {
		return nil
	}
	return vm
}

// welcome lets the gateway's faults befall a connection and chooses the
// certificate. The handshake's deadline is lifted for faults that wait.
func (g *gateway) welcome(ctx context.Context, conn *meteredConn, vm *VM) (*tls.Certificate, error) {
	e := event{gateway: true}
	if vm != nil {
		e.vmID, e.vmName = vm.id, vm.Name()
	}
	delay, f, found := g.sim.faults.pick(e)
	_ = conn.SetDeadline(time.Time{})
	if delay > 0 && !g.sim.pause(ctx, delay) {
		return nil, errTurnedAway
	}
	cert := g.sim.ca.good
	if found {
		k, _ := f.kind() // checked when it was set
		if cert = k.gateway(&knock{conn: conn, ca: g.sim.ca, fault: f}); cert == nil {
			return nil, errTurnedAway
		}
	}
	_ = conn.SetDeadline(time.Now().Add(tlsTimeout))
	return cert, nil
}

// meteredConn is reset after limit bytes in both directions together, if a
// limit is set, and trickles from a stage on, if one is set.
type meteredConn struct {
	net.Conn
	sim   *Sim
	from  string // the stage; "" = none
	slow  atomic.Bool
	limit atomic.Int64 // 0: none
	used  atomic.Int64
}

// NetConn gives access to the TCP connection below.
func (m *meteredConn) NetConn() net.Conn { return m.Conn }

func (m *meteredConn) count(n int) error {
	limit := m.limit.Load()
	if limit > 0 && m.used.Add(int64(n)) > limit {
		abort(m.Conn)
		return net.ErrClosed
	}
	return nil
}

func (m *meteredConn) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if cut := m.count(n); cut != nil {
		return 0, cut
	}
	return n, err
}

func (m *meteredConn) Write(p []byte) (int, error) {
	if err := m.count(len(p)); err != nil {
		return 0, err
	}
	if m.slow.Load() {
		return m.trickle(p)
	}
	return m.Conn.Write(p)
}
