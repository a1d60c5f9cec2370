package sshconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// echo answers what it is sent, in capitals, once the sender has finished.
func echo(c net.Conn) {
	b, _ := io.ReadAll(c)
	_, _ = c.Write(bytes.ToUpper(b))
}

// ask sends text over a connection, ends that direction and reads the answer.
func ask(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	answer, err := exchange(c, text)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// exchange sends text, ends this side's half and returns what comes back.
func exchange(c net.Conn, text string) (string, error) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	closeWrite(c)
	b, err := io.ReadAll(c)
	return string(b), err
}

func dialT(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func forwardT(t *testing.T, c *Conn, kind ForwardKind, spec string) *Forward {
	t.Helper()
	s, err := ParseForward(kind, spec)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Forward(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestForwards(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	c := v.dial(t)
	address := listen(t, echo)
	t.Run("local", func(t *testing.T) {
		f := forwardT(t, c, 'L', "0:"+address)
		for range 3 {
			if got := ask(t, dialT(t, "tcp", f.addr()), "hello"); got != "HELLO" {
				t.Error(got)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if x, err := net.Dial("tcp", f.addr()); err == nil {
			_ = x.Close()
			t.Error("it still listens")
		}
	})
	t.Run("local, nobody answers", func(t *testing.T) {
		f := forwardT(t, c, 'L', "0:127.0.0.1:1")
		x := dialT(t, "tcp", f.addr())
		defer x.Close()
		_ = x.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := x.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(n, err)
		}
	})
	t.Run("remote", func(t *testing.T) {
		f := forwardT(t, c, 'R', "127.0.0.1:0:"+address)
		if got := ask(t, dialT(t, "tcp", f.addr()), "back"); got != "BACK" {
			t.Error(got)
		}
	})
	t.Run("remote refused", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(v.Addr)
		s, _ := ParseForward('R', "127.0.0.1:"+port+":localhost:1")
		var e *Error
		if _, err := c.Forward(t.Context(), s); !errors.Is(err, ErrRefused) || !errors.As(err, &e) || e.Stage != StageForward {
			t.Error(err)
		}
	})
	t.Run("port in use", func(t *testing.T) {
		s, _ := ParseForward('L', address+":h:1")
		var e *Error
		_, err := c.Forward(t.Context(), s)
		if !errors.As(err, &e) || e.Stage != StageForward || !strings.Contains(e.Address, address) {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	})
	t.Run("stdio", func(t *testing.T) {
		var out bytes.Buffer
		if err := c.Stdio(t.Context(), address, strings.NewReader("w"), &out); err != nil || out.String() != "W" {
			t.Error(err, out.String())
		}
		var e *Error
		if err := c.Stdio(t.Context(), "127.0.0.1:1", nil, &out); !errors.As(err, &e) || !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
	})
	if len(c.openForwards()) == 0 {
		t.Error("no forwarding is listed")
	}
}

func TestForwardDynamic(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	_, port, _ := net.SplitHostPort(listen(t, echo))
	f := forwardT(t, c, 'D', "127.0.0.1:0")
	socks, err := proxy.SOCKS5("tcp", f.addr(), nil, proxy.Direct)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		x, err := socks.Dial("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(host, err)
		}
		if got := ask(t, x, "via"); got != "VIA" {
			t.Error(got)
		}
	}
	if _, err := socks.Dial("tcp", "127.0.0.1:1"); err == nil {
		t.Error("a refused connection looks open")
	}
	for _, hostile := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "\x05\x00", "\x05\x01\x02",
		"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x01", "\x05\x01\x00\x05\x01\x00\x09", "\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50",
		"\x05\x01\x00\x05\x01\x00\x03\x03a\nb\x00\x50"} {
		x := dialT(t, "tcp", f.addr())
		_ = x.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(x, hostile)
		closeWrite(x)
		b, _ := io.ReadAll(x) // a reset is fine
		_ = x.Close()
		if got := string(b); strings.HasPrefix(got, "\x05\x00\x05\x00") {
			t.Errorf("%q was let through", hostile)
		}
	}
}

func TestForwardSockets(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	c := v.dial(t)
	address := listen(t, echo)
	short, err := os.MkdirTemp("", "vf") // socket paths are limited to about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	here := filepath.Join(short, "l")
	forwardT(t, c, 'L', here+":"+address)
	if got := ask(t, dialT(t, "unix", here), "unix"); got != "UNIX" {
		t.Error(got)
	}
	if i, err := os.Stat(here); err != nil || runtime.GOOS != "windows" && i.Mode().Perm() != 0o600 {
		t.Error(i, err)
	}
	// A socket on the VM leads back to the listener here; a local port leads to it.
	onVM := fmt.Sprintf("%s/vf-%d.sock", strings.TrimSuffix(v.Home, "/"), os.Getpid())
	forwardT(t, c, 'R', onVM+":"+address)
	f := forwardT(t, c, 'L', "0:"+onVM)
	if got := ask(t, dialT(t, "tcp", f.addr()), "both"); got != "BOTH" {
		t.Error(got)
	}
}

func TestForwardsEndWithConnection(t *testing.T) {
	noLeaks(t)
	c := startVM(t, sshd.Options{}).dial(t)
	f := forwardT(t, c, 'L', "0:"+listen(t, hang))
	x := dialT(t, "tcp", f.addr())
	defer x.Close()
	_, _ = x.Write([]byte("x"))
	_ = c.Close()
	_ = x.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := x.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	soon(t, "nothing listens", func() bool {
		y, err := net.Dial("tcp", f.addr())
		if err == nil {
			_ = y.Close()
		}
		return err != nil
	})
}

func TestProxy(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	in, toProxy := io.Pipe()
	fromProxy, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.dialer.Proxy(ctx, v.target, in, out) }()
	line := make([]byte, 8)
	if _, err := io.ReadFull(fromProxy, line); err != nil || string(line) != "SSH-2.0-" {
		t.Fatal(string(line), err)
	}
	go func() { _, _ = io.Copy(io.Discard, fromProxy) }()
	_, _ = io.WriteString(toProxy, "nonsense\r\n") // sshd hangs up
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = toProxy.Close()
	_ = out.Close()
}

// OpenSSH ends its ProxyCommand with a signal when it has no more need of it.
func TestProxyEndedByCaller(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	in, toProxy := io.Pipe()
	fromProxy, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.dialer.Proxy(ctx, v.target, in, out) }()
	if _, err := io.ReadFull(fromProxy, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, fromProxy) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("nothing is wrong, but: %v", err)
	}
	_ = toProxy.Close()
	_ = out.Close()
	v.target.Endpoints[0].Address = "127.0.0.1:1"
	if err := v.dialer.Proxy(ctx, v.target, strings.NewReader(""), io.Discard); err == nil {
		t.Error("ended before it was connected, and no error")
	}
}

// addr is where the forwarding listens, with the port that was assigned.
func (f *Forward) addr() string { return f.listeners[0].Addr().String() }
