package sshconn

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// A VM that logs a client in, answers every keep-alive and sends a few bytes now
// and then, but never what was asked for, holds nobody up for ever.
func TestAnswerThatNeverComes(t *testing.T) {
	cases := map[string]struct {
		accept     bool
		notStarted bool
	}{
		"no session":            {false, true},
		"session, then nothing": {true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := bufferedPipe()
				over := make(chan struct{})
				go (&misbehaving{logins: func(sc *ssh.ServerConn, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
					go ssh.DiscardRequests(reqs)
					go func() {
						for n := range chans {
							if c.accept {
								_, _, _ = n.Accept()
							}
						}
					}()
					for {
						if _, _, err := sc.SendRequest("still-here", false, nil); err != nil {
							return
						}
						select {
						case <-over:
							return
						case <-time.After(3 * time.Second):
						}
					}
				}}).serve(there)
				d := &Dialer{KeepAlive: 15 * time.Second}
				d.dial = func(context.Context, string, string) (net.Conn, error) { return here, nil }
				conn, err := d.Dial(t.Context(), tcpTarget(t, "192.0.2.1:22"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				began := time.Now()
				err = conn.Exec(t.Context(), "true", nil, nil, nil)
				var e *Error
				if !errors.Is(err, ErrDead) || !errors.As(err, &e) || e.NotStarted != c.notStarted || !e.Transient() {
					t.Errorf("%v (%+v)", err, e)
				}
				if took := time.Since(began); took > time.Minute {
					t.Error(took)
				}
				close(over)
				_ = there.Close()
			})
		})
	}
}

// Behind much data an answer may take long on a slow line, but not for ever.
func TestAnswerBehindData(t *testing.T) {
	for _, c := range []struct {
		rate uint64 // bytes a second
		at   time.Duration
		ok   bool
	}{
		{64 << 10, 2 * time.Minute, true},
		{64 << 10, 20 * time.Minute, false},
		{100, 2 * time.Minute, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			raw, other := net.Pipe()
			defer other.Close()
			conn := &Conn{wire: newWire(raw, raw), answer: 30 * time.Second}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go func() {
				for ctx.Err() == nil {
					conn.wire.received.Add(c.rate)
					time.Sleep(time.Second)
				}
			}()
			answer := make(chan int, 1)
			time.AfterFunc(c.at, func() { answer <- 7 })
			got, err := await(t.Context(), conn, answer)
			if ok := err == nil && got == 7; ok != c.ok {
				t.Errorf("%d B/s, answer after %s: %d %v", c.rate, c.at, got, err)
			}
			stop()
			time.Sleep(c.at) // what is asleep ends
		})
	}
}
