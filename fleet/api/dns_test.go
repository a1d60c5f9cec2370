package api

import (
	"context"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver asks a name server of this test, which knows every name by the
// addresses given, or answers everything with rcode.
func resolver(t *testing.T, rcode dnsmessage.RCode, addrs ...string) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			if out, err := dnsAnswer(m, rcode, addrs).Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func dnsAnswer(q dnsmessage.Message, rcode dnsmessage.RCode, addrs []string) *dnsmessage.Message {
	m := &dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RCode: rcode, RecursionAvailable: true}, Questions: q.Questions[:1]}
	for _, a := range addrs {
		ip := netip.MustParseAddr(a)
		h := dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1}
		switch {
		case ip.Is4() && q.Questions[0].Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: ip.As4()}})
		case ip.Is6() && q.Questions[0].Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	return m
}

func withResolver(r *net.Resolver, timeouts Timeouts) func(*Config, *hooks) {
	return func(cfg *Config, h *hooks) {
		cfg.Timeouts = timeouts
		h.dial = (&net.Dialer{Timeout: timeouts.Connect, Resolver: r}).DialContext
	}
}

func TestNameServers(t *testing.T) {
	patient := Timeouts{Connect: 10 * time.Second, Whole: 20 * time.Second}
	for _, c := range []struct {
		name      string
		resolver  *net.Resolver
		detail    string
		transient bool
	}{
		{"unknown name", resolver(t, dnsmessage.RCodeNameError), "no host", false},
		{"no address", resolver(t, dnsmessage.RCodeSuccess), "no host", false},
		{"failing server", resolver(t, dnsmessage.RCodeServerFailure), "could not answer", true},
	} {
		t.Run(c.name, func(t *testing.T) { checkLookup(t, withResolver(c.resolver, patient), c.detail, c.transient) })
	}
	for name, timeouts := range map[string]Timeouts{
		"silent server":                          {},
		"silent server, the call's own deadline": {Connect: time.Minute, Whole: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkLookup(t, withResolver(silentResolver(), timeouts), "does not answer", true) })
		})
	}
}

func checkLookup(t *testing.T, how func(*Config, *hooks), detail string, transient bool) {
	t.Helper()
	cl, _ := client(t, "https://api.invalid.", how)
	_, err := cl.VMs(t.Context())
	e := failure(t, err, KindDNS)
	if !strings.Contains(e.Detail, detail) || e.Retry.Transient != transient || e.Sent || e.Stage != StageLookup {
		t.Errorf("got %+v", e)
	}
}

func silentResolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

// TestDeadIPv6: the name has an address of each family, and nothing is at the
// IPv6 one (2001:db8::/32 is for documentation).
func TestDeadIPv6(t *testing.T) {
	s := answering(t, 200, "application/json", "[]")
	both := func(connect time.Duration) func(*Config, *hooks) {
		return withResolver(resolver(t, dnsmessage.RCodeSuccess, "2001:db8::1", "127.0.0.1"), Timeouts{Connect: connect})
	}
	base := "http://api.example.:" + port(t, s)
	c, _ := client(t, base, both(20*time.Second))
	start := time.Now()
	if _, err := c.VMs(t.Context()); err != nil || time.Since(start) > 10*time.Second {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
	s.Close()
	c, _ = client(t, base, both(2*time.Second))
	_, err := c.VMs(t.Context())
	if e := failure(t, err, KindRefused); e.Kind.Local() || e.Sent {
		t.Errorf("got %+v", e)
	}
}

func port(t *testing.T, s *httptest.Server) string {
	t.Helper()
	_, p, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
