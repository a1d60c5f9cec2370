package sshdtest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os/exec"
	"testing"
)

func asExit(err error, target **exec.ExitError) bool { return errors.As(err, target) }

// echoServer answers only after it has seen the end of what it was sent, so
// that a half-close that is lost shows as a hang.
func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all, _ := io.ReadAll(c)
			_, _ = c.Write(all)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func newGateway(t *testing.T) *Gateway {
	t.Helper()
	g, err := NewGateway(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestGatewayHalfClose(t *testing.T) {
	g := newGateway(t)
	g.Route("one.vm.vers.sh", echoServer(t))
	c, err := tls.Dial("tcp", g.Addr, &tls.Config{RootCAs: g.CAPool, ServerName: "one.vm.vers.sh"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		_, _ = c.Write(want)
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(want), err)
	}
	if v := c.ConnectionState().Version; v != tls.VersionTLS13 {
		t.Errorf("TLS version %#x", v)
	}
}

func TestGatewayRefusals(t *testing.T) {
	g := newGateway(t)
	g.Route("one.vm.vers.sh", echoServer(t))
	dial := func(name string) error {
		c, err := tls.Dial("tcp", g.Addr, &tls.Config{RootCAs: g.CAPool, ServerName: name})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := dial("two.vm.vers.sh"); err == nil {
		t.Error("a name that nobody routed was accepted")
	}
	if err := g.SetNames("somebody.else"); err != nil {
		t.Fatal(err)
	}
	if wrong := new(x509.HostnameError); !errors.As(dial("one.vm.vers.sh"), wrong) {
		t.Error("a certificate for another name was accepted")
	}
	if err := g.SetNames("*." + Domain); err != nil {
		t.Fatal(err)
	}
	g.SetDown(true)
	if err := dial("one.vm.vers.sh"); err == nil {
		t.Error("the gateway answered while down")
	}
	g.SetDown(false)
	if err := dial("one.vm.vers.sh"); err != nil {
		t.Error(err)
	}
}

func TestGatewayDrop(t *testing.T) {
	g := newGateway(t)
	g.Route("one.vm.vers.sh", echoServer(t))
	c, err := tls.Dial("tcp", g.Addr, &tls.Config{RootCAs: g.CAPool, ServerName: "one.vm.vers.sh"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	g.Drop()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatalf("read %d bytes from a dropped connection", n)
	}
}
