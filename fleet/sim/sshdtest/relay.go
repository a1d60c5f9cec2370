package sshdtest

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// relayBuffer is large enough that one read empties a full socket buffer.
const relayBuffer = 256 << 10

func (g *Gateway) serve() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return // closed
		}
		g.accepted.Add(1)
		if !g.track(c) {
			c.Close()
			continue
		}
		g.wg.Go(func() { g.handle(c) })
	}
}

// track remembers c for Drop. The check of down is inside the lock, so that
// Close cannot miss a connection accepted at the same time.
func (g *Gateway) track(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down.Load() {
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

func (g *Gateway) handle(raw net.Conn) {
	defer func() {
		raw.Close()
		g.mu.Lock()
		delete(g.conns, raw)
		g.mu.Unlock()
	}()
	outer := tls.Server(raw, g.config)
	if err := outer.Handshake(); err != nil {
		return
	}
	g.mu.Lock()
	addr := g.routes[outer.ConnectionState().ServerName]
	g.mu.Unlock()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	inner := c.(*net.TCPConn)
	defer inner.Close()
	g.noteSource(inner)
	relay(outer, inner)
}

func (g *Gateway) noteSource(c *net.TCPConn) {
	_, port, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return // a TCP address always splits
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ports[port] = true
}

// relay copies both ways until both are done. The end of one direction is
// passed on as a half-close; an error ends both.
func relay(outer *tls.Conn, inner *net.TCPConn) {
	var wg sync.WaitGroup
	wg.Go(func() { pass(inner, outer, inner.CloseWrite) })
	wg.Go(func() { pass(outer, inner, outer.CloseWrite) })
	wg.Wait()
}

type onlyWriter struct{ io.Writer } // hides ReadFrom, which would use small buffers
type onlyReader struct{ io.Reader }

func pass(dst io.WriteCloser, src io.ReadCloser, closeWrite func() error) {
	_, err := io.CopyBuffer(onlyWriter{dst}, onlyReader{src}, make([]byte, relayBuffer))
	if err == nil {
		err = closeWrite()
	}
	if err != nil {
		dst.Close()
		src.Close()
	}
}
