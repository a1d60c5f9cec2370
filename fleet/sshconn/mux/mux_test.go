//go:build unix

package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/private"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
	"github.com/vers-fleet/vers-fleet/fleet/sim/wan"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// socketPath is short: the system limits it to about 100 bytes.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s", "vm")
}

type shared struct {
	path  string
	conn  *sshconn.Conn
	vm    *simtest.OpenSSH
	relay *wan.Relay
	ended chan error
}

// share serves a connection to a real sshd at some distance.
func share(t testing.TB, rtt time.Duration, o Options) shared {
	t.Helper()
	return shareOf(t, sshd.Options{}, rtt, o)
}

func shareOf(t testing.TB, server sshd.Options, rtt time.Duration, o Options) shared {
	t.Helper()
	vm := simtest.StartOpenSSH(t, server)
	relay, err := wan.Listen(t.Context(), vm.TLSAddr, wan.Options{RTT: rtt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(relay.Close)
	d := &sshconn.Dialer{RootCAs: vm.CAPool}
	conn, err := d.Dial(t.Context(), sshconn.Target{
		User: vm.User, ServerName: vm.ServerName, Keys: [][]byte{vm.ClientKey}, HostKeys: vm.HostKeys(),
		Endpoints: []sshconn.Endpoint{{Network: sshconn.NetworkTLS, Address: relay.Addr}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := shared{path: socketPath(t), conn: conn, vm: vm, relay: relay, ended: make(chan error, 1)}
	l, err := private.Listen(s.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		s.ended <- Serve(ctx, l, conn, o)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

func (s shared) borrow(t testing.TB) *sshconn.Conn {
	t.Helper()
	c, err := Dial(t.Context(), s.path, "marketing")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestSharedCommands(t *testing.T) {
	s := share(t, 0, Options{})
	c := s.borrow(t)
	if !c.Shared() || c.Info().HostKey != s.conn.Info().HostKey || c.Info().PublicKey != s.conn.Info().PublicKey {
		t.Errorf("%+v", c.Info())
	}
	var out, errOut bytes.Buffer
	err := c.Exec(t.Context(), "cat; echo e >&2; exit 42", strings.NewReader("in\x00"), &out, &errOut)
	var exit *sshconn.ExitError
	if !errors.As(err, &exit) || exit.Status != 42 || out.String() != "in\x00" || errOut.String() != "e\n" {
		t.Fatal(err, out.String(), errOut.String())
	}
	if err := c.Exec(t.Context(), "kill -9 $$", nil, nil, nil); !errors.As(err, &exit) || exit.Signal != "KILL" {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	out.Reset()
	if err := c.Exec(t.Context(), "cat", bytes.NewReader(big), &out, nil); err != nil || !bytes.Equal(big, out.Bytes()) {
		t.Fatal(err, out.Len())
	}
	out.Reset()
	if err := c.Run(t.Context(), sshconn.RunOptions{Command: "tty -s && echo yes", TTY: sshconn.TTYForce, Term: "xterm", Stdout: &out}); err != nil || out.String() != "yes\r\n" {
		t.Fatalf("%v %q", err, out.String())
	}
	rw, err := c.OpenSubsystem(t.Context(), "sftp")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = rw.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3})
	if _, err := io.ReadFull(rw, make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	_ = rw.Close()
	if _, err := c.OpenSubsystem(t.Context(), "none"); !errors.Is(err, sshconn.ErrRefused) {
		t.Fatal(err)
	}
}

func TestSharedByMany(t *testing.T) {
	s := share(t, 0, Options{})
	errs := make(chan error, 24)
	for range cap(errs) {
		go func() {
			c, err := Dial(t.Context(), s.path, "m")
			if err == nil {
				err = c.Exec(t.Context(), "true", nil, nil, nil)
				if errors.Is(err, sshconn.ErrSessionLimit) {
					err = nil // sshd's MaxSessions; the caller's business
				}
				_ = c.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if s.vm.Logins() != 1 {
		t.Error("logins:", s.vm.Logins())
	}
}

func TestSharedForward(t *testing.T) {
	s := share(t, 0, Options{})
	c := s.borrow(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if x, err := l.Accept(); err == nil {
			_, _ = io.WriteString(x, "hello")
			_ = x.Close()
		}
	}()
	var out bytes.Buffer
	if err := c.Stdio(t.Context(), l.Addr().String(), nil, &out); err != nil || out.String() != "hello" {
		t.Fatal(err, out.String())
	}
	spec, _ := sshconn.ParseForward('R', "0:localhost:1")
	if _, err := c.Forward(t.Context(), spec); !errors.Is(err, sshconn.ErrShared) {
		t.Error(err)
	}
	if err := c.Run(t.Context(), sshconn.RunOptions{Command: "true", AgentSocket: "/x"}); !errors.Is(err, sshconn.ErrShared) {
		t.Error(err)
	}
}

func TestSharedEnds(t *testing.T) {
	t.Run("socket taken away", func(t *testing.T) {
		s := share(t, 0, Options{CheckEvery: time.Millisecond})
		c := s.borrow(t)
		_ = os.Remove(s.path)
		if err := c.Exec(t.Context(), "sleep 0.1", nil, nil, nil); err != nil {
			t.Error("in use:", err)
		}
		_ = c.Close()
		if err := <-s.ended; !errors.Is(err, errIdle) {
			t.Error(err)
		}
	})
	t.Run("idle", func(t *testing.T) {
		s := share(t, 0, Options{Idle: time.Second})
		c := s.borrow(t)
		_ = c.Exec(t.Context(), "sleep 1.5", nil, nil, nil) // longer than idle: in use
		if err := c.Exec(t.Context(), "true", nil, nil, nil); err != nil {
			t.Error(err)
		}
		_ = c.Close()
		if err := <-s.ended; !errors.Is(err, errIdle) {
			t.Error(err)
		}
		if _, err := os.Stat(s.path); !errors.Is(err, os.ErrNotExist) {
			t.Error("the socket is still there", err)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		ok := make(chan struct{})
		s := share(t, 0, Options{CheckEvery: 10 * time.Millisecond, Check: func() bool {
			select {
			case <-ok:
				return false
			default:
				return true
			}
		}})
		c := s.borrow(t)
		close(ok)
		if err := <-s.ended; !errors.Is(err, errRevoked) {
			t.Error(err)
		}
		if err := c.Exec(t.Context(), "true", nil, nil, nil); !errors.Is(err, sshconn.ErrLost) {
			t.Error(err)
		}
	})
	t.Run("connection lost", func(t *testing.T) {
		s := share(t, 0, Options{})
		c := s.borrow(t)
		ended := make(chan error, 1)
		r, w := io.Pipe()
		go func() { ended <- c.Exec(t.Context(), "echo up; sleep 60", nil, w, nil) }()
		_, _ = r.Read(make([]byte, 1))
		go func() { _, _ = io.Copy(io.Discard, r) }()
		s.relay.Drop()
		if err := <-ended; !errors.Is(err, sshconn.ErrLost) {
			t.Error(err)
		}
		_ = w.Close()
		if err := <-s.ended; !errors.Is(err, sshconn.ErrLost) {
			t.Error(err)
		}
	})
}

func TestNobodyServes(t *testing.T) {
	path := socketPath(t)
	quickly := func(want error) {
		t.Helper()
		start := time.Now()
		if _, err := Dial(t.Context(), path, "m"); !errors.Is(err, want) {
			t.Error(err)
		}
		if took := time.Since(start); took >= dialWait {
			t.Error(took)
		}
	}
	quickly(ErrNoServer) // not even a folder
	l, err := private.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := private.Listen(path); !errors.Is(err, private.ErrBusy) {
		t.Error(err)
	}
	_ = l.UnixListener.Close() // as a killed server leaves it
	quickly(ErrNoServer)
	if l, err = private.Listen(path); err != nil {
		t.Fatal("a stale socket is not replaced", err)
	}
	defer l.Close()
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	quickly(private.ErrUnsafe)
	if _, err := private.Listen(path); !errors.Is(err, private.ErrUnsafe) {
		t.Error(err)
	}
}

// A stuck server must not hold anybody up for long, nor take its successor's
// socket away when it goes on.
func TestStuckServer(t *testing.T) {
	path := socketPath(t)
	l, err := private.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	if _, err := Dial(t.Context(), path, "m"); !errors.Is(err, ErrNoServer) || time.Since(start) >= dialWait {
		t.Error(err, time.Since(start))
	}
	_ = os.Remove(path)
	next, err := private.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	_ = l.Close()
	if !private.Served(path) {
		t.Error("the successor's socket is gone")
	}
}

// Of several processes that find a dead socket one takes its place.
func TestTakeOver(t *testing.T) {
	path := socketPath(t)
	l, err := private.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.UnixListener.Close()
	type result struct {
		l   net.Listener
		err error
	}
	results := make(chan result)
	for range 8 {
		go func() {
			l, err := private.Listen(path)
			results <- result{l, err}
		}()
	}
	won := 0
	for range 8 {
		switch r := <-results; {
		case r.err == nil:
			won++
			defer r.l.Close()
		case !errors.Is(r.err, private.ErrBusy):
			t.Error(r.err)
		}
	}
	if won != 1 {
		t.Error("listeners:", won)
	}
}

// After an upgrade, the two ends may be of different versions for a while: an
// earlier one knows no key exchange but Curve25519.
func TestEarlierVersionsAreUnderstood(t *testing.T) {
	s := share(t, 0, Options{})
	raw, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	earlier := ssh.Config{KeyExchanges: []string{ssh.KeyExchangeCurve25519}, Ciphers: []string{ssh.CipherAES128GCM}}
	conn, _, _, err := ssh.NewClientConn(raw, "shared", &ssh.ClientConfig{Config: earlier, User: "shared", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal("an earlier client is not served:", err)
	}
	_ = conn.Close()
	if !slices.Contains(algorithms().KeyExchanges, earlier.KeyExchanges[0]) {
		t.Error("an earlier server is not understood")
	}
}
