package sshdtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Domain is the default of the setting vm_domain: a VM's name is its id below it.
const Domain = "vm.vers.sh"

// Gateway terminates TLS 1.3 for *.vm.vers.sh and relays the bytes inside to
// the server that the SNI names. Its methods may be called at any time.
type Gateway struct {
	// Addr is host:port; CAPool and CAFile hold the authority to trust.
	Addr   string
	CAPool *x509.CertPool
	CAFile string

	listener net.Listener
	ca       *authority
	config   *tls.Config
	down     atomic.Bool
	accepted atomic.Int64
	mu       sync.Mutex // guards routes, cert, conns, ports
	routes   map[string]string
	cert     *tls.Certificate
	conns    map[net.Conn]struct{}
	ports    map[string]bool // local ports of the connections to sshd, ever
	wg       sync.WaitGroup
}

// NewGateway listens on loopback and writes its CA file into dir. It runs
// until Close or until ctx ends.
func NewGateway(ctx context.Context, dir string) (*Gateway, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	cert, err := ca.issue("*." + Domain)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "ca.pem")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, ca.pem(), 0o644)); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		Addr: l.Addr().String(), CAPool: ca.pool(), CAFile: file, listener: l, ca: ca, cert: cert,
		routes: map[string]string{}, conns: map[net.Conn]struct{}{}, ports: map[string]bool{},
	}
	g.config = &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: g.certificate, DynamicRecordSizingDisabled: true,
	}
	g.wg.Go(g.serve)
	context.AfterFunc(ctx, g.Close)
	return g, nil
}

// certificate refuses names that lead nowhere, as the platform does.
func (g *Gateway) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.routes[hello.ServerName]; !ok {
		return nil, fmt.Errorf("no VM is called %q", hello.ServerName)
	}
	return g.cert, nil
}

// Route sends connections with the SNI name to addr; an empty addr forgets it.
func (g *Gateway) Route(name, addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if addr == "" {
		delete(g.routes, name)
		return
	}
	g.routes[name] = addr
}

// SetNames replaces the certificate by one for other DNS names, to play a
// gateway that is not who it says it is.
func (g *Gateway) SetNames(names ...string) error {
	cert, err := g.ca.issue(names...)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cert = cert
	return nil
}

// SetDown makes the gateway close every new connection at once.
func (g *Gateway) SetDown(down bool) { g.down.Store(down) }

// Accepted counts the TCP connections taken so far.
func (g *Gateway) Accepted() int { return int(g.accepted.Load()) }

// cameFrom tells whether a connection from this local port was the gateway's.
func (g *Gateway) cameFrom(port string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ports[port]
}

// Drop cuts every open connection.
func (g *Gateway) Drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.Close()
	}
}

// Close stops listening and cuts every connection.
func (g *Gateway) Close() {
	g.SetDown(true)
	g.listener.Close()
	g.Drop()
	g.wg.Wait()
}
