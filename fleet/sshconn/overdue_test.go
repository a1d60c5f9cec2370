package sshconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// trickling is a connection that sends a byte every three seconds once slow.
type trickling struct {
	net.Conn
	slow *atomic.Bool
	over <-chan struct{} // of the test
}

func (c trickling) Write(p []byte) (int, error) {
	if !c.slow.Load() {
		return c.Conn.Write(p)
	}
	for n := range p {
		if _, err := c.Conn.Write(p[n : n+1]); err != nil {
			return n, err
		}
		select {
		case <-c.over:
			return n + 1, net.ErrClosed
		case <-time.After(3 * time.Second):
		}
	}
	return len(p), nil
}

// tricklers are servers that trickle from a stage on, by that stage.
func tricklers(over <-chan struct{}) map[Stage]func(net.Conn) {
	slowly := func(c net.Conn, text string) {
		slow := &atomic.Bool{}
		slow.Store(true)
		_, _ = trickling{c, slow, over}.Write([]byte(text))
	}
	return map[Stage]func(net.Conn){
		StageTLS: func(c net.Conn) { slowly(c, "\x16\x03\x03\x40\x00"+strings.Repeat("\x02", 1000)) },
		StageKEX: func(c net.Conn) { slowly(c, "SSH-2.0-"+strings.Repeat("x", 1000)) },
		StageLogin: func(c net.Conn) {
			slow := &atomic.Bool{}
			inner, server := bufferedPipe() // the library holds a lock while it writes, on which a bubble's time stands still
			go (&misbehaving{config: ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
				slow.Store(true)
				return nil, nil
			}}}).serve(server)
			go func() { _, _ = io.Copy(inner, c); _ = inner.Close() }()
			_, _ = io.Copy(trickling{c, slow, over}, inner)
			_ = inner.Close()
		},
	}
}

// A VM with many addresses, each of which says a byte now and then, costs one
// deadline, not one for each address and stage; what is told is how far it came.
func TestOneDeadlineForAllAddresses(t *testing.T) {
	for _, stage := range []Stage{StageTCP, StageTLS, StageKEX, StageLogin} {
		t.Run(string(stage), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				defer close(over)
				serve := tricklers(over)[stage]
				d := &Dialer{Timeouts: Timeouts{TCP: time.Hour, TLS: time.Hour, KEX: time.Hour}}
				d.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					if serve == nil {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					here, there := bufferedPipe()
					go func() {
						serve(there)
						_ = there.Close()
					}()
					return here, nil
				}
				d.lookup = func(context.Context, string) ([]netip.Addr, error) {
					var all []netip.Addr
					for n := range maxAddresses {
						all = append(all, netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", n)))
					}
					return all, nil
				}
				target := tcpTarget(t, "vm.example:22")
				if stage == StageTLS {
					target.Endpoints[0].Network = NetworkTLS
				}
				began := time.Now()
				_, err := d.Dial(t.Context(), target)
				checkOverdue(t, err, stage)
				if took := time.Since(began); took != 30*time.Second {
					t.Error(took)
				}
			})
		})
	}
}

func checkOverdue(t *testing.T, err error, stage Stage) {
	t.Helper()
	var e *Error
	var late *OverdueError
	if !errors.As(err, &e) || !errors.As(err, &late) || !e.Timeout || !e.Transient() || stage != "" && e.Stage != stage {
		t.Fatalf("%v, stage wanted: %s", err, stage)
	}
	if text := err.Error(); !strings.Contains(text, "not made within "+late.Limit.String()) {
		t.Error(text)
	}
}

// A lookup that never ends, with an address recorded that is not tried any more,
// is told as late, too.
func TestOverdueBeforeAnyTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{Timeouts: Timeouts{Whole: slowDNS / 2}}
		d.lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
		target := tcpTarget(t, "vm.example:22")
		_, err := d.Dial(t.Context(), target)
		checkOverdue(t, err, StageDNS)
		target.Endpoints[0].IPs = []string{"192.0.2.1"}
		_, err = d.Dial(t.Context(), target)
		checkOverdue(t, err, StageDNS)
	})
}

// The caller's own end stays what it is.
func TestCallerEndsBeforeOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{}
		d.dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		gone := errors.New("gone")
		ctx, stop := context.WithTimeoutCause(t.Context(), 5*time.Second, gone)
		defer stop()
		if _, err := d.Dial(ctx, tcpTarget(t, "192.0.2.1:22")); !errors.Is(err, gone) {
			t.Error(err)
		}
	})
}

// The same with a real sshd behind a gateway that trickles: no stage's limit is
// put off by a byte now and then, and all of the dial has one.
func TestTrickleRealOpenSSH(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	for _, stage := range []Stage{StageTLS, StageKEX, StageLogin} {
		t.Run(string(stage), func(t *testing.T) {
			if err := v.Sim.SetFault(sim.Fault{Kind: "gateway-trickle", Stage: string(stage)}); err != nil {
				t.Fatal(err)
			}
			hurried := &Dialer{RootCAs: v.CAPool, Timeouts: Timeouts{Whole: 50 * time.Millisecond}}
			_, err := hurried.Dial(t.Context(), v.target)
			checkOverdue(t, err, "")
			d := quick(stage)
			d.RootCAs, d.Timeouts.Whole = v.CAPool, time.Hour
			_, err = d.Dial(t.Context(), v.target)
			var e *Error
			if !errors.As(err, &e) || e.Stage != stage || !e.Timeout {
				t.Error(err)
			}
		})
	}
	if err := v.Sim.SetFault(sim.Fault{Kind: "off"}); err != nil {
		t.Fatal(err)
	}
	v.dial(t)
}
