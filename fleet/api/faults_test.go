package api

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestBrokenConnections: faults that only a hand-written server makes. None
// takes longer than the call's own deadline.
func TestBrokenConnections(t *testing.T) {
	readRequest := func(in *bufio.Reader) {
		if r, err := http.ReadRequest(in); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}
	after := func(answer string) talk {
		return func(c net.Conn, in *bufio.Reader, _ <-chan struct{}) {
			readRequest(in)
			_, _ = io.WriteString(c, answer)
		}
	}
	drip := func(head, drop string) talk {
		return func(c net.Conn, in *bufio.Reader, done <-chan struct{}) {
			readRequest(in)
			_, err := io.WriteString(c, head)
			for err == nil {
				select {
				case <-done:
					return
				case <-time.After(time.Second):
					_, err = io.WriteString(c, drop)
				}
			}
		}
	}
	for _, c := range []struct {
		name  string
		talk  talk
		want  Kind
		stage Stage
	}{
		{"hang", talkSilence, KindTimeout, StageHeaders},
		{"slow headers", drip("HTTP/1.1 200 OK\r\nX: ", "x"), KindTimeout, StageHeaders},
		{"one byte at a time", drip("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n[", " "), KindTimeout, StageBody},
		{"closed without an answer", after(""), KindReset, StageHeaders},
		{"closed in the status line", after("HTTP/1.1 20"), KindNotVers, StageHeaders},
		{"closed in the headers", after("HTTP/1.1 200 OK\r\nContent-Ty"), KindNotVers, StageHeaders},
		{"Content-Length too long", after("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[]"), KindTruncated, StageBody},
		{"Content-Length too short", after("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n[]"), KindTruncated, StageBody},
		{"two Content-Lengths", after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]"), KindNotVers, StageHeaders},
		{"cut chunk", after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[]"), KindTruncated, StageBody},
		{"not gzip", after("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]"), KindTruncated, StageBody},
		{"not HTTP", after("SSH-2.0-OpenSSH_9.2\r\n"), KindNotVers, StageHeaders},
		{"endless headers", after("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 400)), KindNotVers, StageHeaders},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := Timeouts{Headers: 10 * time.Second, Whole: 30 * time.Second}
				cl, _ := client(t, "http://api.example", piped(t, d, c.talk))
				start := time.Now()
				_, err := cl.VMs(t.Context())
				checkBroken(t, err, c.want, c.stage)
				if took := time.Since(start); took > d.Whole {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func checkBroken(t *testing.T, err error, want Kind, stage Stage) {
	t.Helper()
	e := failure(t, err, want)
	if e.Stage != stage || !e.Sent || e.Retry.Unsent || !e.Retry.Transient || !e.Kind.Unreachable() || e.Kind.Local() {
		t.Errorf("got stage %s, sent %v, hint %+v", e.Stage, e.Sent, e.Retry)
	}
}

func TestResetBeforeTheAnswer(t *testing.T) {
	c, _ := client(t, rawServer(t, func(c net.Conn, in *bufio.Reader, _ <-chan struct{}) {
		if _, err := http.ReadRequest(in); err == nil {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
	}), nil)
	_, err := c.VMs(t.Context())
	checkBroken(t, err, KindReset, StageHeaders)
}

func TestResetWhileConnecting(t *testing.T) {
	c, _ := client(t, "http://127.0.0.1:9", withDial(&net.OpError{Op: "dial", Err: syscall.ECONNRESET}))
	_, err := c.Branch(t.Context(), vmA, 1)
	if e := failure(t, err, KindReset); e.Sent || !e.Retry.Unsent {
		t.Errorf("got %+v", e)
	}
}

// TestGzipBomb: 1 GiB of spaces that fits into 1 MiB.
func TestGzipBomb(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		block := []byte(strings.Repeat(" ", 1<<20))
		for range 1024 {
			if _, err := z.Write(block); err != nil {
				return
			}
		}
	})
	c, _ := client(t, s.URL, withTimeouts(Timeouts{Headers: time.Minute, Whole: time.Minute}))
	_, err := c.VMs(t.Context())
	if e := failure(t, err, KindTooLarge); !e.Kind.Unreachable() || e.Retry.Transient {
		t.Errorf("got %+v", e)
	}
}

func TestTooManyEntries(t *testing.T) {
	c, s := client(t, answering(t, 200, "application/json", "[0"+strings.Repeat(",0", maxElements)+"]").URL, nil)
	_, err := c.VMs(t.Context())
	failure(t, err, KindTooLarge)
	if len(s.warned) > maxWarnings+1 {
		t.Errorf("%d warnings", len(s.warned))
	}
}

func TestRefusedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	_ = l.Close()
	c, _ := client(t, url, nil)
	_, err = c.VMs(t.Context())
	e := failure(t, err, KindRefused)
	if e.Sent || !e.Retry.Unsent || !e.Retry.Transient || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %+v", e)
	}
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, "http://api.example", piped(t, Timeouts{}, talkSilence))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.VMs(ctx)
		if e := failure(t, err, KindTimeout); !errors.Is(err, context.DeadlineExceeded) || e.Stage != StageHeaders || !e.Sent {
			t.Errorf("got %+v", e)
		}
		_, err = c.VMs(ctx) // no time is left at all
		if e := failure(t, err, KindTimeout); e.Sent || e.Kind.Local() {
			t.Errorf("got %+v", e)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = c.VMs(ctx)
		if e := failure(t, err, KindCanceled); !errors.Is(err, context.Canceled) || e.Kind.Unreachable() || e.Retry.Transient {
			t.Errorf("got %+v", e)
		}
	})
}

// late answers after a minute.
type late struct{ body string }

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(time.Minute):
		return &http.Response{StatusCode: 200, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(l.body))}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// TestActionsMayTakeLonger: a snapshot is answered when it is done.
func TestActionsMayTakeLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, "http://api.example", withTimeouts(Timeouts{}))
		c.http.Transport = late{`{"commit_id":"` + commitA + `"}`}
		if id, err := c.Commit(t.Context(), vmA, CommitRequest{CommitID: commitA}); err != nil || id != commitA {
			t.Errorf("got %q, %v", id, err)
		}
		_, err := c.VMs(t.Context())
		failure(t, err, KindTimeout)
	})
}
