package sshconn

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

func TestDialInfo(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	other, _, err := sshd.NewKey("ed25519", "other")
	if err != nil {
		t.Fatal(err)
	}
	v.target.Keys = [][]byte{[]byte("damaged"), other, v.ClientKey}
	v.target.HostKeys = nil
	i := v.dial(t).Info()
	public, err := ParseKey(v.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	if i.KeyIndex != 2 || i.PublicKey != public || !i.FirstContact || i.HostKey != v.HostKey() {
		t.Errorf("%+v", i)
	}
	if i.Fingerprint != Fingerprint(v.HostKey()) || !strings.HasPrefix(i.Fingerprint, "SHA256:") {
		t.Error(i.Fingerprint)
	}
	if i.Endpoint.Network != NetworkTLS || len(i.Endpoint.IPs) != 1 || i.Endpoint.IPs[0] != "127.0.0.1" {
		t.Errorf("%+v", i.Endpoint)
	}
	if len(i.Stages) != 4 {
		t.Errorf("%+v", i.Stages)
	}
}

func TestDialKeyTypes(t *testing.T) {
	v := startVM(t, sshd.Options{MoreHostKeys: []string{"rsa", "ecdsa"}})
	for _, pinned := range v.HostKeys() {
		v.target.HostKeys = []string{pinned}
		if i := v.dial(t).Info(); i.HostKey != pinned || i.FirstContact {
			t.Errorf("pinned %s, got %s", pinned, i.HostKey)
		}
		if got, err := v.dialer.HostKey(t.Context(), v.target); err != nil || got != pinned {
			t.Errorf("HostKey: %s %v", got, err)
		}
	}
}

func TestHostKeyChanged(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	old := v.HostKey()
	if err := v.VM.RotateHostKey(); err != nil {
		t.Fatal(err)
	}
	_, err := v.dialer.Dial(t.Context(), v.target)
	var e *Error
	var h *HostKeyError
	if !errors.As(err, &e) || e.Stage != StageHostKey || !errors.As(err, &h) {
		t.Fatal(err)
	}
	if h.Got != Fingerprint(v.HostKey()) || h.Want[0] != Fingerprint(old) || h.Key != v.HostKey() || e.Transient() {
		t.Errorf("%+v", h)
	}
	if v.Logins() != 0 || strings.Contains(v.Log(), "Accepted") {
		t.Error("a login was tried")
	}
	v.target.HostKeys, v.target.Strict = nil, true
	if _, err := v.dialer.Dial(t.Context(), v.target); !errors.As(err, &h) || len(h.Want) != 0 {
		t.Fatal("a strict target accepts a first contact", err)
	}
}

func TestLoginRefused(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	other, _, err := sshd.NewKey("ed25519", "other")
	if err != nil {
		t.Fatal(err)
	}
	v.target.Keys = [][]byte{other}
	_, err = v.dialer.Dial(t.Context(), v.target)
	var e *Error
	if !errors.As(err, &e) || e.Stage != StageLogin || !errors.Is(err, ErrKeyRefused) || e.Transient() {
		t.Fatal(err)
	}
	v.target.Keys = nil
	if _, err = v.dialer.Dial(t.Context(), v.target); !errors.Is(err, errNoKey) {
		t.Fatal(err)
	}
}

func TestTLSRefusals(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	stage := func(d *Dialer, target Target) Stage {
		t.Helper()
		_, err := d.Dial(t.Context(), target)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		return e.Stage
	}
	none := x509.NewCertPool()
	further := func(p *x509.CertPool) func() (*x509.CertPool, error) {
		return func() (*x509.CertPool, error) { return p, nil }
	}
	for _, d := range []*Dialer{{RootCAs: none}, {RootCAs: none, Roots: further(none)}} {
		if s := stage(d, v.target); s != StageTLS {
			t.Error("unknown authority:", s)
		}
	}
	for _, d := range []*Dialer{{RootCAs: v.CAPool, Roots: further(none)}, {RootCAs: none, Roots: further(v.CAPool)}} {
		c, err := d.Dial(t.Context(), v.target)
		if err != nil {
			t.Fatal("known to one of both:", err)
		}
		_ = c.Close()
	}
	if err := v.Sim.SetFault(sim.Fault{Kind: "gateway-cert"}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Dialer{v.dialer, {RootCAs: none, Roots: further(v.CAPool)}} {
		if s := stage(d, v.target); s != StageTLSName {
			t.Error("wrong name:", s)
		}
	}
	var said []string
	loose := &Dialer{InsecureSkipVerify: true, Logf: func(f string, _ ...any) { said = append(said, f) }}
	c, err := loose.Dial(t.Context(), v.target)
	if err != nil || len(said) == 0 {
		t.Fatal(err, said)
	}
	_ = c.Close()
}

// A dead address first, a working one behind it: the dial takes the second
// after the head start, not after the first one's deadline.
func TestSideBySide(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	v.dialer.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "192.0.2.") {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	v.target.Endpoints = []Endpoint{
		{Network: NetworkTCP, Address: "192.0.2.1:22"},
		{Network: NetworkTCP, Address: silent.Addr().String()},
		{Network: NetworkTCP, Address: v.Addr},
	}
	v.dialer.Timeouts = Timeouts{TCP: time.Minute, KEX: time.Minute}
	start := time.Now()
	if got := v.dial(t).Info().Endpoint.Address; got != v.Addr {
		t.Error(got)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Error(took)
	}
}

func TestBlackHole(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	v.dialer.Timeouts.TCP = 200 * time.Millisecond
	v.dialer.dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	v.target.Endpoints = append(v.target.Endpoints, Endpoint{Network: NetworkTCP, Address: "192.0.2.7:22"})
	_, err := v.dialer.Dial(t.Context(), v.target)
	var e *Error
	if !errors.As(err, &e) || e.Stage != StageTCP || !e.Timeout || !e.Transient() || len(e.Others) != 1 {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), "192.0.2.7:22") || !strings.Contains(err.Error(), "tcp") {
		t.Error(err)
	}
}

func TestDNS(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	_, port, err := net.SplitHostPort(v.TLSAddr)
	if err != nil {
		t.Fatal(err)
	}
	gone := &net.DNSError{Err: "no such host", Name: v.ServerName, IsNotFound: true}
	cases := []struct {
		name   string
		lookup func(context.Context, string) ([]netip.Addr, error)
		ips    []string
		stage  Stage // "" means it works
	}{
		{"answers", answer("127.0.0.1"), nil, ""},
		{"fails, an address is recorded", failing(gone), []string{"127.0.0.1"}, ""},
		{"fails, nothing recorded", failing(gone), nil, StageDNS},
		{"hangs, an address is recorded", hanging, []string{"127.0.0.1"}, ""},
		{"hangs, nothing recorded", hanging, nil, StageDNS},
		{"lies, an address is recorded", answer("127.0.0.2"), []string{"127.0.0.1"}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := *v.dialer
			d.lookup, d.Timeouts.DNS = c.lookup, 700*time.Millisecond
			target := v.target
			target.Endpoints = []Endpoint{{Network: NetworkTLS, Address: net.JoinHostPort(v.ServerName, port), IPs: c.ips}}
			conn, err := d.Dial(t.Context(), target)
			var e *Error
			switch {
			case c.stage == "" && err != nil:
				t.Fatal(err)
			case c.stage == "":
				_ = conn.Close()
			case !errors.As(err, &e) || e.Stage != c.stage:
				t.Fatal(err)
			}
		})
	}
}

func answer(ips ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) { return parseIPs(ips), nil }
}

func failing(err error) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) { return nil, err }
}

func hanging(ctx context.Context, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDialConfig(t *testing.T) {
	v := startVM(t, sshd.Options{})
	cases := map[string]func(*Target){
		"no endpoint":       func(t *Target) { t.Endpoints = nil },
		"no port":           func(t *Target) { t.Endpoints = []Endpoint{{Network: NetworkTCP, Address: "h"}} },
		"unknown network":   func(t *Target) { t.Endpoints = []Endpoint{{Network: "udp", Address: "h:1"}} },
		"damaged pinned":    func(t *Target) { t.HostKeys = []string{"ssh-ed25519 ????"} },
		"keys all damaged":  func(t *Target) { t.Keys = [][]byte{{1}, nil} },
		"key is far to big": func(t *Target) { t.Keys = [][]byte{make([]byte, 1<<20)} },
	}
	for name, spoil := range cases {
		target := v.target
		spoil(&target)
		var e *Error
		if _, err := v.dialer.Dial(t.Context(), target); !errors.As(err, &e) || e.Stage != StageConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDialCancelled(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, network := range []string{NetworkTCP, NetworkTLS} {
		v.target.Endpoints = []Endpoint{{Network: network, Address: silent.Addr().String()}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := v.dialer.Dial(ctx, v.target); ended <- err }()
		conn, err := silent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(network, err)
		}
		_ = conn.Close()
	}
}
