package sshconn

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// serverKey is the host key of servers inside the tests, made from a seed.
func serverKey() ssh.Signer {
	key, err := ssh.ParsePrivateKey(seededKey(1))
	if err != nil {
		panic(err)
	}
	return key
}

func testKey(t testing.TB) []byte {
	t.Helper()
	return seededKey(2)
}

func seededKey(seed byte) []byte {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	block, err := ssh.MarshalPrivateKey(key, "test")
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(block)
}

// misbehaving is a server that goes through a proper key exchange and then
// does what a test wants.
type misbehaving struct {
	config ssh.ServerConfig
	logins func(*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request)
}

func (m *misbehaving) serve(c net.Conn) {
	config := m.config
	if config.PublicKeyCallback == nil {
		config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
	}
	config.AddHostKey(serverKey())
	conn, chans, reqs, err := ssh.NewServerConn(c, &config)
	if err != nil || m.logins == nil {
		_ = c.Close()
		return
	}
	m.logins(conn, chans, reqs)
}

func serveOne(t testing.TB, m *misbehaving) string {
	t.Helper()
	return listen(t, m.serve)
}

func TestHostileLogin(t *testing.T) {
	noLeaks(t)
	refuse := func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, errors.New("no") }
	cases := map[string]*misbehaving{
		"refuses every key": {config: ssh.ServerConfig{PublicKeyCallback: refuse}},
		"hangs in the login": {config: ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			time.Sleep(2 * time.Second)
			return nil, errors.New("no")
		}}},
		"banner of a megabyte": {config: ssh.ServerConfig{PublicKeyCallback: refuse, BannerCallback: func(ssh.ConnMetadata) string {
			return string(bytes.Repeat([]byte("\x1b]0;x\a"), 30<<10))
		}}},
		"one try only": {config: ssh.ServerConfig{PublicKeyCallback: refuse, MaxAuthTries: 1}},
		"wants a second factor": {config: ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
				return nil, errors.New("no")
			}}}
		}}},
	}
	for name, m := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkHostile(t, StageLogin, tcpTarget(t, serveOne(t, m)))
		})
	}
}

func TestNoPublicKeyOffered(t *testing.T) {
	noLeaks(t)
	address := listen(t, func(c net.Conn) {
		config := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, errors.New("no") }}
		config.AddHostKey(serverKey())
		_, _, _, _ = ssh.NewServerConn(c, config)
	})
	if _, err := patient().Dial(t.Context(), tcpTarget(t, address)); !errors.Is(err, ErrNoPublicKeyLogin) {
		t.Fatal(err)
	}
}

// Servers that behave until the login is done.
func TestHostileSession(t *testing.T) {
	noLeaks(t)
	cases := map[string]func(*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request){
		"never opens a channel": func(c *ssh.ServerConn, _ <-chan ssh.NewChannel, _ <-chan *ssh.Request) { _ = c.Wait() },
		"closes instead of opening": func(c *ssh.ServerConn, _ <-chan ssh.NewChannel, _ <-chan *ssh.Request) {
			_ = c.Close()
		},
		"opens, then silence": func(_ *ssh.ServerConn, chans <-chan ssh.NewChannel, _ <-chan *ssh.Request) {
			for n := range chans {
				_, _, _ = n.Accept()
			}
		},
		"accepts, then closes without status": sessions(func(ch ssh.Channel) { _ = ch.Close() }),
		"says EOF and never closes":           sessions(func(ch ssh.Channel) { _ = ch.CloseWrite() }),
		"stderr without end": sessions(func(ch ssh.Channel) {
			for {
				if _, err := ch.Stderr().Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}),
		"malformed exit status": sessions(func(ch ssh.Channel) {
			_, _ = ch.SendRequest("exit-status", false, []byte{1})
			_ = ch.Close()
		}),
		"signal name of a megabyte": sessions(func(ch ssh.Channel) {
			_, _ = ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
				Signal string
				Core   bool
				A, B   string
			}{string(bytes.Repeat([]byte("X"), 200<<10)), false, "", ""}))
			_ = ch.Close()
		}),
		"unsolicited requests": func(c *ssh.ServerConn, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
			go func() {
				for {
					if _, _, err := c.SendRequest("hostkeys-00@openssh.com", true, nil); err != nil {
						return
					}
				}
			}()
			sessions(func(_ ssh.Channel) {})(c, chans, reqs)
		},
		"unsolicited channels": func(c *ssh.ServerConn, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
			go func() {
				for {
					if _, _, err := c.OpenChannel("x11", nil); err == io.EOF {
						return
					}
					if _, _, err := c.OpenChannel("auth-agent@openssh.com", nil); err != nil && c.Wait() != nil {
						return
					}
				}
			}()
			sessions(func(_ ssh.Channel) {})(c, chans, reqs)
		},
	}
	for name, serve := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := patient().Dial(t.Context(), tcpTarget(t, serveOne(t, &misbehaving{logins: serve})))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			start := time.Now()
			if err := c.Exec(within(t, time.Second), "x", nil, nil, nil); err == nil {
				t.Error("the command succeeded")
			}
			if took := time.Since(start); took > 15*time.Second {
				t.Error(took)
			}
		})
	}
}

// sessions accepts sessions and their first request, then does f.
func sessions(f func(ssh.Channel)) func(*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request) {
	return func(_ *ssh.ServerConn, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
		go ssh.DiscardRequests(reqs)
		for n := range chans {
			ch, requests, err := n.Accept()
			if err != nil {
				return
			}
			if r, ok := <-requests; ok {
				_ = r.Reply(true, nil)
			}
			go ssh.DiscardRequests(requests)
			go f(ch)
		}
	}
}

func TestExitWithoutStatus(t *testing.T) {
	noLeaks(t)
	c, err := patient().Dial(t.Context(), tcpTarget(t, serveOne(t, &misbehaving{logins: sessions(func(ch ssh.Channel) { _ = ch.Close() })})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var exit *ExitError
	if err := c.Exec(t.Context(), "x", nil, nil, nil); !errors.As(err, &exit) || exit.Status != -1 || exit.ExitStatus() != 255 {
		t.Fatal(err)
	}
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := bufferedPipe()
		silent := make(chan struct{})
		go (&misbehaving{logins: func(_ *ssh.ServerConn, _ <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
			for r := range reqs {
				select {
				case <-silent:
				default:
					_ = r.Reply(false, nil)
				}
			}
		}}).serve(there)
		d := &Dialer{KeepAlive: 15 * time.Second}
		d.dial = func(context.Context, string, string) (net.Conn, error) { return here, nil }
		c, err := d.Dial(t.Context(), tcpTarget(t, "192.0.2.1:22"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // answered: it lives
		if err := c.endCause(); err != nil {
			t.Fatal(err)
		}
		close(silent)
		start := time.Now()
		if err := c.Wait(); !errors.Is(err, ErrDead) {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 45*time.Second || took > 75*time.Second {
			t.Error(took)
		}
	})
}

func TestCancelSendsSignal(t *testing.T) {
	noLeaks(t)
	got := make(chan string, 1)
	c, err := patient().Dial(t.Context(), tcpTarget(t, serveOne(t, &misbehaving{
		logins: func(_ *ssh.ServerConn, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
			go ssh.DiscardRequests(reqs)
			for n := range chans {
				_, requests, _ := n.Accept()
				for r := range requests {
					_ = r.Reply(true, nil)
					if r.Type == "signal" {
						got <- string(r.Payload[4:])
					}
				}
			}
		}})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.Exec(within(t, 300*time.Millisecond), "x", nil, nil, nil)
	if s := <-got; s != "TERM" {
		t.Fatal(s)
	}
}

// bufferedPipe is net.Pipe with writes that do not wait for the reader, for
// both sides of SSH speak first.
func bufferedPipe() (net.Conn, net.Conn) {
	a, b := net.Pipe()
	return newBuffered(a), newBuffered(b)
}

type buffered struct {
	net.Conn
	out  chan []byte
	gone chan struct{}
	once sync.Once
}

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c, out: make(chan []byte, 256), gone: make(chan struct{})}
	go func() {
		for {
			select {
			case p := <-b.out:
				if _, err := c.Write(p); err != nil {
					return
				}
			case <-b.gone:
				return
			}
		}
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	select {
	case b.out <- bytes.Clone(p):
		return len(p), nil
	case <-b.gone:
		return 0, net.ErrClosed
	}
}

func (b *buffered) Close() error {
	b.once.Do(func() { close(b.gone) })
	return b.Conn.Close()
}
