package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	vmA     = "c8f9cadc-4c58-4eab-a847-df31723c7d16"
	vmB     = "0b0e3b2a-7d0c-4f0e-9d55-0d8f6b1a2c3d"
	commitA = "6f1c2d3e-4a5b-4c6d-8e7f-901234567890"
	owner   = "11111111-2222-4333-8444-555555555555"
	// testKey has the form of a live key: <owner uuid><64 hex>.
	testKey = owner + "feedface0123456789abcdeffeedface0123456789abcdeffeedface01234567"
)

// said collects what a client warned of and logged.
type said struct {
	mu          sync.Mutex
	warned, log []string
}

func (s *said) warn(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warned = append(s.warned, line)
}

func (s *said) logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func (s *said) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.warned, s.log)
}

// client returns a client of base; change may be nil.
func client(t testing.TB, base string, change func(*Config, *hooks)) (*Client, *said) {
	t.Helper()
	s := &said{}
	cfg := Config{
		BaseURL: base, APIKey: func(context.Context) (string, error) { return testKey, nil },
		Timeouts: Timeouts{Whole: 10 * time.Second}, Warn: s.warn, Logf: s.logf,
	}
	h := hooks{hasNetwork: func() bool { return true }}
	if change != nil {
		change(&cfg, &h)
	}
	c, err := newClient(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c, s
}

func withTimeouts(d Timeouts) func(*Config, *hooks) {
	return func(cfg *Config, _ *hooks) { cfg.Timeouts = d }
}

func withDial(err error) func(*Config, *hooks) {
	return func(_ *Config, h *hooks) {
		h.dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
}

// serve starts an HTTP server for one test.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// answering serves one fixed answer to everything.
func answering(t testing.TB, status int, contentType, body string) *httptest.Server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// talk is a server's side of a connection, with a reader over it. When the test
// ends, done is closed.
type talk func(c net.Conn, in *bufio.Reader, done <-chan struct{})

// rawServer accepts connections and hands each to talk.
func rawServer(t testing.TB, talk talk) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() { close(done); _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				talk(conn, bufio.NewReader(conn), done)
			})
		}
	})
	return "http://" + l.Addr().String()
}

// piped is a client's way to talk without a network, for tests in a bubble of
// testing/synctest: its clock stands still while anything goes on.
func piped(t testing.TB, d Timeouts, talk talk) func(*Config, *hooks) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() { close(done); wg.Wait() })
	return func(cfg *Config, h *hooks) {
		cfg.Timeouts = d
		h.dial = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			wg.Go(func() {
				defer far.Close()
				talk(far, bufio.NewReader(far), done)
			})
			return near, nil
		}
	}
}

// failure insists that err is an *Error of the kind wanted.
func failure(t testing.TB, err error, want Kind) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v (%T), want an *Error of kind %s", err, err, want)
	}
	if e.Kind != want {
		t.Fatalf("got kind %s (%v), want %s", e.Kind, e, want)
	}
	return e
}

func vmJSON(id, extra string) string {
	return `{"vm_id":"` + id + `","owner_id":"` + owner + `","created_at":"2026-02-24T03:20:00Z","state":"running"` + extra + `}`
}

// Things a server may say instead of TLS.
func talkGarbage(c net.Conn, in *bufio.Reader, _ <-chan struct{}) {
	_, _ = in.Peek(1)
	_, _ = c.Write([]byte("220 mail.example ESMTP ready\r\n"))
}

func talkNothing(_ net.Conn, in *bufio.Reader, _ <-chan struct{}) { _, _ = in.Peek(1) }

func talkSilence(_ net.Conn, _ *bufio.Reader, done <-chan struct{}) { <-done }

// runSelf runs one test of this binary in a process of its own.
func runSelf(t *testing.T, test string, env ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	return cmd.CombinedOutput()
}
