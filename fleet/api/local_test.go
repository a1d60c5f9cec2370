package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
)

// TestLocalCauses tells this machine's troubles from the API's.
func TestLocalCauses(t *testing.T) {
	dns := func(e net.DNSError) error {
		e.Err, e.Name = "made up", "api.example"
		return &net.OpError{Op: "dial", Net: "tcp", Err: &e}
	}
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	for _, c := range []struct {
		name      string
		err       error
		offline   bool
		want      Kind
		transient bool
	}{
		{"NXDOMAIN", dns(net.DNSError{IsNotFound: true}), false, KindDNS, false},
		{"DNS timeout", dns(net.DNSError{IsTimeout: true}), false, KindDNS, true},
		{"SERVFAIL", dns(net.DNSError{IsTemporary: true}), false, KindDNS, true},
		{"DNS without a network", dns(net.DNSError{IsTemporary: true}), true, KindNoNetwork, true},
		{"no route", dial(syscall.ENETUNREACH), false, KindNoNetwork, true},
		{"no route, no interface", dial(syscall.ENETUNREACH), true, KindNoNetwork, true},
		{"interface down", dial(syscall.ENETDOWN), false, KindNoNetwork, true},
		{"no address", dial(syscall.EADDRNOTAVAIL), false, KindNoNetwork, true},
		{"local firewall", dial(syscall.EPERM), false, KindNoNetwork, true},
		{"host unreachable", dial(syscall.EHOSTUNREACH), false, KindRefused, true},
		{"host unreachable, no interface", dial(syscall.EHOSTUNREACH), true, KindNoNetwork, true},
		{"refused", dial(syscall.ECONNREFUSED), true, KindRefused, true},
		{"kernel timeout", dial(syscall.ETIMEDOUT), false, KindTimeout, true},
		{"something new", errors.New("dialling is out of fashion"), false, KindRefused, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, _ := client(t, "https://api.example", func(_ *Config, h *hooks) {
				h.dial = func(context.Context, string, string) (net.Conn, error) { return nil, c.err }
				h.hasNetwork = func() bool { return !c.offline }
			})
			_, err := cl.VMs(t.Context())
			e := failure(t, err, c.want)
			local := c.want == KindDNS || c.want == KindNoNetwork
			if e.Kind.Local() != local || !e.Kind.Unreachable() || e.Sent || !e.Retry.Unsent || e.Retry.Transient != c.transient {
				t.Errorf("got local %v, sent %v, hint %+v", e.Kind.Local(), e.Sent, e.Retry)
			}
		})
	}
}

// TestProxy: the environment's proxy is used, and its faults are told apart
// from the API's.
func TestProxy(t *testing.T) {
	answer := "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
	asked := make(chan string, 10)
	proxy := rawServer(t, func(c net.Conn, in *bufio.Reader, _ <-chan struct{}) {
		if r, err := http.ReadRequest(in); err == nil {
			asked <- r.Method + " " + r.Host + r.Header.Get("Authorization")
			_, _ = io.WriteString(c, answer)
		}
	})
	t.Setenv("HTTPS_PROXY", proxy)
	c, _ := client(t, "https://api.example", nil)
	_, err := c.Commit(t.Context(), vmA, CommitRequest{})
	if e := failure(t, err, KindProxy); !e.Kind.Local() || e.Sent {
		t.Errorf("got %+v", e)
	}
	if got := <-asked; got != "CONNECT api.example:443" {
		t.Errorf("the proxy was asked %q", got)
	}
	answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
	_, err = c.VMs(t.Context())
	if e := failure(t, err, KindRefused); e.Kind.Local() || e.Sent {
		t.Errorf("a proxy that gets no further: %+v", e)
	}
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	c, _ = client(t, "https://api.example", nil)
	_, err = c.VMs(t.Context())
	failure(t, err, KindProxy)
}
