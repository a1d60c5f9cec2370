package sshconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// candidate is one address of one endpoint.
type candidate struct {
	endpoint Endpoint
	host     string // from the endpoint
	dial     string // ip:port
	ip       string
}

// label is how errors name the address.
func (c candidate) label() string {
	if c.ip == "" || c.ip == c.host {
		return c.endpoint.Address
	}
	return c.endpoint.Address + " (" + c.ip + ")"
}

func (c candidate) used() Endpoint {
	return Endpoint{Network: c.endpoint.Network, Address: c.endpoint.Address, IPs: []string{c.ip}}
}

// stopwatch collects the times of stages.
type stopwatch struct {
	last   time.Time
	stages []StageTime
}

func newStopwatch() *stopwatch { return &stopwatch{last: time.Now()} }

func (s *stopwatch) done(stage Stage) {
	now := time.Now()
	s.stages = append(s.stages, StageTime{Stage: stage, Took: now.Sub(s.last)})
	s.last = now
}

// connect opens the byte pipe to the SSH port: TCP, and TLS if the endpoint
// has it.
func (d *Dialer) connect(ctx context.Context, t Target, c candidate, watch *stopwatch) (*wire, *Error) {
	if c.endpoint.Network == NetworkTLS {
		go d.preload()
	}
	raw, err := d.connectTCP(ctx, c)
	if err != nil {
		return nil, newError(StageTCP, c.label(), err)
	}
	watch.done(StageTCP)
	if c.endpoint.Network != NetworkTLS {
		return newWire(raw, raw), nil
	}
	through, err := d.connectTLS(ctx, t, c, raw)
	if err != nil {
		_ = raw.Close()
		return nil, newError(tlsStage(err), c.label(), err)
	}
	watch.done(StageTLS)
	return newWire(through, raw), nil
}

// preload reads the authorities' certificates while the network is waited for:
// parsing all of a system's takes about 14 ms of CPU, once.
func (d *Dialer) preload() {
	switch {
	case d.Roots != nil:
		_, _ = d.Roots()
	case d.RootCAs == nil && !d.InsecureSkipVerify:
		_, _ = x509.SystemCertPool()
	}
}

func (d *Dialer) connectTCP(ctx context.Context, c candidate) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeouts.withDefaults().TCP)
	defer cancel()
	if d.dial != nil {
		return d.dial(ctx, "tcp", c.dial)
	}
	var nd net.Dialer
	return nd.DialContext(ctx, "tcp", c.dial)
}

func (d *Dialer) connectTLS(ctx context.Context, t Target, c candidate, raw net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeouts.withDefaults().TLS)
	defer cancel()
	name := t.ServerName
	if name == "" {
		name = c.host
	}
	if d.InsecureSkipVerify {
		d.logf("TLS: the certificate of %s is NOT verified", c.label())
	}
	config := &tls.Config{
		ServerName:         name,
		RootCAs:            d.RootCAs,
		InsecureSkipVerify: d.InsecureSkipVerify, // asked for by the user and logged
		MinVersion:         tls.VersionTLS12,
	}
	if d.Roots != nil && !d.InsecureSkipVerify {
		more, err := d.Roots()
		if err != nil {
			return nil, err
		}
		config.InsecureSkipVerify = true // VerifyConnection verifies
		config.VerifyConnection = func(s tls.ConnectionState) error { return verifyEither(s, name, more, d.RootCAs) }
	}
	through := tls.Client(raw, config)
	if err := through.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return through, nil
}

// verifyEither verifies a chain as crypto/tls does, with the first authorities
// or else with the others. The system's (nil) are read only if they are needed:
// that takes more CPU than all the rest of a login.
func verifyEither(s tls.ConnectionState, name string, first, others *x509.CertPool) error {
	o := x509.VerifyOptions{DNSName: name, Roots: first, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	if err == nil {
		return nil
	}
	o.Roots = others
	if _, otherErr := s.PeerCertificates[0].Verify(o); otherErr == nil {
		return nil
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
}

// tlsStage tells a certificate for another name from all other failures.
func tlsStage(err error) Stage {
	var name x509.HostnameError
	if errors.As(err, &name) {
		return StageTLSName
	}
	return StageTLS
}

// clientVersion is the identification line of RFC 4253 section 4.2, which
// allows no further minus sign.
const clientVersion = "SSH-2.0-vers_fleet"

// tlsGoodbye bounds the wait for writing TLS's closing alert.
const tlsGoodbye = 300 * time.Millisecond

// wire is the connection below the SSH protocol. It remembers the first
// network error, which the SSH library may hide behind one of its own, counts
// what arrives, and sends our version line before the library does, so that
// waiting for the server's first byte costs no round trip.
type wire struct {
	net.Conn // what SSH talks through
	raw      net.Conn

	received atomic.Uint64
	closed   atomic.Bool
	cause    atomic.Pointer[error]
	closing  sync.Once

	first   []byte // read by greet, not yet by the library
	swallow int    // bytes of the version line already sent
}

func newWire(through, raw net.Conn) *wire { return &wire{Conn: through, raw: raw} }

// greet sends our version line and waits for the server's first byte.
func (w *wire) greet() error {
	line := clientVersion + "\r\n"
	if _, err := io.WriteString(w.Conn, line); err != nil {
		return w.note(err)
	}
	w.swallow = len(line)
	var b [1]byte
	if _, err := io.ReadFull(w.Conn, b[:]); err != nil {
		return w.note(err)
	}
	w.first = b[:]
	return nil
}

// Read reads what greet took, then from the connection.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.first) > 0 {
		n := copy(p, w.first)
		w.first = w.first[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.received.Add(uint64(n))
	}
	return n, w.note(err)
}

// Write drops the bytes greet has sent already.
func (w *wire) Write(p []byte) (int, error) {
	skip := min(w.swallow, len(p))
	w.swallow -= skip
	if skip == len(p) {
		return skip, nil
	}
	n, err := w.Conn.Write(p[skip:])
	return skip + n, w.note(err)
}

// Close closes the connection without waiting long for a dead peer.
func (w *wire) Close() error {
	w.closing.Do(func() {
		w.closed.Store(true)
		if w.Conn == w.raw {
			_ = w.raw.Close()
			return
		}
		force := time.AfterFunc(tlsGoodbye, func() { _ = w.raw.Close() })
		_ = w.Conn.Close()
		force.Stop()
	})
	return nil
}

// abort closes the connection at once, without a farewell.
func (w *wire) abort() {
	w.closed.Store(true)
	_ = w.raw.Close()
}

// note remembers the first error that is not the echo of our own closing.
func (w *wire) note(err error) error {
	if err != nil && !w.closed.Load() {
		w.cause.CompareAndSwap(nil, &err)
	}
	return err
}

// failure is the first network error, or nil.
func (w *wire) failure() error {
	if p := w.cause.Load(); p != nil {
		return *p
	}
	return nil
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Proxy connects stdin and stdout to the target's SSH port, through TLS where
// the endpoint has it, for use as OpenSSH's ProxyCommand. The SSH protocol,
// and with it the check of the host key, is the caller's. It returns when the
// VM closes the connection or ctx ends; EOF on stdin is passed on. Once it is
// connected, ctx's end is no error: OpenSSH ends its ProxyCommand with SIGHUP
// (sshconnect.c, ssh_kill_proxy_command).
func (d *Dialer) Proxy(ctx context.Context, t Target, stdin io.Reader, stdout io.Writer) error {
	try := func(ctx context.Context, c candidate, _ chan struct{}) (*wire, error) {
		w, err := d.connect(ctx, t, c, newStopwatch())
		if err != nil {
			return nil, ended(ctx, err)
		}
		return w, nil
	}
	w, err := runRace(ctx, d, t.Endpoints, try, func(w *wire) { w.abort() })
	if err != nil {
		return err
	}
	defer w.Close()
	defer context.AfterFunc(ctx, w.abort)()

	in := newInput(stdin)
	defer in.stop()
	go func() {
		_, _ = io.Copy(w, in)
		closeWrite(w.Conn)
	}()
	_, err = io.Copy(stdout, w)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil && w.failure() != nil {
		return newError(StageSession, t.label(), ErrLost)
	}
	return err
}

// closeWrite ends one direction where the connection can.
func closeWrite(c any) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
