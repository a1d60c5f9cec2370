package sshconn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// listen serves every connection with f until the test ends.
func listen(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return l.Addr().String()
}

// patient waits long for servers that behave up to a point, so that a busy
// machine does not end the test early.
func patient() *Dialer { return &Dialer{KeepAlive: 200 * time.Millisecond} }

// quick is patient but at the stage at which the server misbehaves.
func quick(stage Stage) *Dialer {
	const d = 400 * time.Millisecond
	p := patient()
	switch stage {
	case StageTLS:
		p.Timeouts.TLS = d
	case StageKEX:
		p.Timeouts.KEX = d
	case StageLogin:
		p.Timeouts.Login = d
	}
	return p
}

func tcpTarget(t testing.TB, address string) Target {
	return Target{Name: "hostile", Endpoints: []Endpoint{{Network: NetworkTCP, Address: address}}, Keys: [][]byte{testKey(t)}}
}

func flood(c net.Conn, p []byte) {
	for {
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// packet frames a payload as the unencrypted SSH protocol does.
func packet(payload ...byte) []byte {
	pad := 16 - (5+len(payload))%8
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad))
	b = append(append(b, byte(pad)), payload...)
	return append(b, make([]byte, pad)...)
}

// Every one of these servers must cost no more than the deadline and a bounded
// amount of memory, and end in an *Error.
func TestHostileHandshake(t *testing.T) {
	noLeaks(t)
	const version = "SSH-2.0-x\r\n"
	after := func(f func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, version)
			f(c)
		}
	}
	send := func(p []byte) func(net.Conn) {
		return after(func(c net.Conn) {
			_, _ = c.Write(p)
			hang(c)
		})
	}
	cases := map[string]func(net.Conn){
		"says nothing":                    hang,
		"closes at once":                  func(net.Conn) {},
		"endless banner in one line":      func(c net.Conn) { flood(c, bytes.Repeat([]byte("a"), 4096)) },
		"endless lines before the banner": func(c net.Conn) { flood(c, bytes.Repeat([]byte("no\r\n"), 1024)) },
		"slow lines before the banner":    slowly("hello\r\n"),
		"slow bytes of a banner":          slowly("S"),
		"HTTP":                            func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); hang(c) },
		"old protocol":                    func(c net.Conn) { _, _ = io.WriteString(c, "SSH-1.5-old\r\n"); hang(c) },
		"NULs":                            func(c net.Conn) { flood(c, make([]byte, 4096)) },
		"TLS where SSH should be":         func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 40}) },
		"full house":                      func(c net.Conn) { _, _ = io.WriteString(c, "Exceeded MaxStartups\r\n") },
		"stops after the version":         after(hang),
		"closes after the version":        after(func(net.Conn) {}),
		"garbage after the version":       after(func(c net.Conn) { flood(c, bytes.Repeat([]byte{0xa5}, 4096)) }),
		"huge packet":                     send([]byte{0x7f, 0xff, 0xff, 0xff, 4}),
		"packet of length zero":           send([]byte{0, 0, 0, 0, 0}),
		"padding longer than the packet":  send([]byte{0, 0, 0, 12, 255, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		"empty key exchange message":      send(packet(20)),
		"disconnects":                     send(packet(append([]byte{1, 0, 0, 0, 2, 0, 0, 0, 1, 'x'}, 0, 0, 0, 0)...)),
		"message of the wrong phase":      send(packet(52)),
		"endless ignore messages":         after(func(c net.Conn) { flood(c, packet(2, 0, 0, 0, 0)) }),
		"endless debug messages":          after(func(c net.Conn) { flood(c, packet(4, 0, 0, 0, 0, 0, 0, 0, 0, 0)) }),
		"lists of algorithms without end": send(packet(append(make([]byte, 17), 0xff, 0xff, 0xff, 0xff)...)),
		"hangs in the key exchange":       hangInKeyExchange,
	}
	for name, server := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkHostile(t, StageKEX, tcpTarget(t, listen(t, server)))
		})
	}
}

func slowly(s string) func(net.Conn) {
	return func(c net.Conn) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(c, s); err != nil {
				return
			}
		}
	}
}

// hangInKeyExchange lets a real server answer until the client's key-exchange
// packet, which it never sees.
func hangInKeyExchange(c net.Conn) {
	a, b := net.Pipe()
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(serverKey())
	go func() { _, _, _, _ = ssh.NewServerConn(b, config) }()
	go func() { _, _ = io.CopyN(a, c, 600); hang(c); _ = a.Close() }()
	_, _ = io.Copy(c, a)
}

func checkHostile(t *testing.T, stage Stage, target Target) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	conn, err := quick(stage).Dial(t.Context(), target)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if err == nil {
		_ = conn.Close()
		t.Fatal("connected")
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v", err, err)
	}
	if e.Stage != stage {
		t.Errorf("stage %s: %v", e.Stage, err)
	}
	if took > 6*time.Second {
		t.Errorf("took %v", took)
	}
	if grew := int64(after.HeapAlloc) - int64(before.HeapAlloc); grew > 64<<20 {
		t.Errorf("heap grew by %d MiB", grew>>20)
	}
	if strings.Contains(err.Error(), "PRIVATE KEY") {
		t.Error("the error quotes the key")
	}
}

func TestHostileTLS(t *testing.T) {
	noLeaks(t)
	cases := map[string]func(net.Conn){
		"says nothing":         hang,
		"closes":               func(net.Conn) {},
		"speaks SSH":           func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n"); hang(c) },
		"garbage":              func(c net.Conn) { flood(c, bytes.Repeat([]byte{22, 3, 3, 0xff, 0xff}, 1000)) },
		"handshake, then dead": func(c net.Conn) { _, _ = c.Write([]byte{22, 3, 3, 0x40, 0}); hang(c) },
	}
	for name, server := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := tcpTarget(t, listen(t, server))
			target.Endpoints[0].Network = NetworkTLS
			checkHostile(t, StageTLS, target)
		})
	}
}

func TestHostileHostKeyOnly(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if key, err := quick(StageKEX).HostKey(ctx, tcpTarget(t, listen(t, hangInKeyExchange))); err == nil {
		t.Fatal(key)
	}
}
