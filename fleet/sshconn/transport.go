package sshconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
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
func (d *Dialer) connect(ctx context.Context, t Target, c candidate, watch *stopwatch) (*wire, error) {
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
