package wan

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// echo serves connections that get back what they send, end included.
func echo(t *testing.T) string {
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
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func relay(t *testing.T, target string, o Options) *Relay {
	t.Helper()
	r, err := Listen(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func dial(t *testing.T, r *Relay) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func ping(t *testing.T, c *net.TCPConn) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

func TestRoundTrips(t *testing.T) {
	const rtt = 40 * time.Millisecond
	r := relay(t, echo(t), Options{RTT: rtt})
	start := time.Now()
	c := dial(t, r)
	ping(t, c)
	if took := time.Since(start); took < 2*rtt {
		t.Errorf("first answer after %v: handshake and question take %v", took, 2*rtt)
	}
	if took := ping(t, c); took < rtt {
		t.Errorf("second answer after %v, round trip %v", took, rtt)
	}
	if n := r.RoundTrips(); n != 3 {
		t.Errorf("%d round trips were counted, want 3", n)
	}
}

func TestServerSpeaksFirst(t *testing.T) {
	const rtt = 30 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte("SSH-2.0-x"))
			c.Close()
		}
	}()
	r := relay(t, l.Addr().String(), Options{RTT: rtt})
	start := time.Now()
	got, err := io.ReadAll(dial(t, r))
	if took := time.Since(start); string(got) != "SSH-2.0-x" || err != nil || took < 2*rtt {
		t.Errorf("%q, %v after %v", got, err, took)
	}
	if n := r.RoundTrips(); n != 2 {
		t.Errorf("%d round trips were counted, want 2", n)
	}
}

func TestOrderAndHalfClose(t *testing.T) {
	for name, o := range map[string]Options{
		"near": {}, "far": {RTT: 10 * time.Millisecond}, "narrow": {RTT: time.Millisecond, BytesPerSecond: 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, relay(t, echo(t), o))
			want := make([]byte, 8<<20)
			source := rand.NewChaCha8([32]byte{1})
			_, _ = source.Read(want)
			go func() {
				for rest := want; len(rest) > 0; {
					n := min(len(rest), 1+int(source.Uint64()%100_000))
					_, _ = c.Write(rest[:n])
					rest = rest[n:]
				}
				_ = c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
				t.Fatalf("%d of %d bytes, same: %v, %v", len(got), len(want), bytes.Equal(got, want), err)
			}
		})
	}
}

func TestLinkSpeedIsShared(t *testing.T) {
	r := relay(t, echo(t), Options{BytesPerSecond: 8 << 20})
	start := time.Now()
	done := make(chan error, 2)
	for range 2 {
		c := dial(t, r)
		go func() {
			_, _ = c.Write(make([]byte, 1<<20))
			_ = c.CloseWrite()
			_, err := io.Copy(io.Discard, c)
			done <- err
		}()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 250*time.Millisecond {
		t.Errorf("2 MiB over 8 MiB/s took %v", took)
	}
}

func TestRefusedTargetShowsAsReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := dial(t, relay(t, addr, Options{RTT: 10 * time.Millisecond}))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestDrop(t *testing.T) {
	r := relay(t, echo(t), Options{})
	c := dial(t, r)
	ping(t, c)
	r.Drop()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("after a drop: read %d, %v; want a reset", n, err)
	}
	ping(t, dial(t, r))
}

func TestCloseEndsEverything(t *testing.T) {
	r := relay(t, echo(t), Options{RTT: time.Hour})
	c := dial(t, r)
	_, _ = c.Write([]byte("x"))
	r.Close() // returns only when no goroutine is left
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection survived")
	}
}
