package sshconn

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// vm is a real sshd behind a TLS front, and how to reach it.
type vm struct {
	*simtest.OpenSSH
	dialer *Dialer
	target Target
}

func startVM(t testing.TB, o sshd.Options) vm {
	t.Helper()
	s := simtest.StartOpenSSH(t, o)
	return vm{OpenSSH: s, dialer: &Dialer{RootCAs: s.CAPool}, target: Target{
		VMID: s.VMID, Name: "marketing", User: s.User, ServerName: s.ServerName,
		Endpoints: []Endpoint{{Network: NetworkTLS, Address: s.TLSAddr}},
		Keys:      [][]byte{s.ClientKey}, HostKeys: []string{s.HostKey()},
	}}
}

func (v vm) dial(t testing.TB) *Conn {
	t.Helper()
	c, err := v.dialer.Dial(t.Context(), v.target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// run executes a command and returns its stdout.
func run(t testing.TB, c *Conn, cmd string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if err := c.Exec(t.Context(), cmd, nil, &out, &errOut); err != nil {
		t.Fatalf("%s: %v (%s)", cmd, err, errOut.String())
	}
	return out.String()
}

// noLeaks fails the test if goroutines of this package outlive it.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var left string
		for deadline := time.Now().Add(8 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
			if left = ourGoroutines(); left == "" {
				return
			}
			time.Sleep(2 * time.Millisecond) // goroutines end on their own time
		}
		t.Errorf("goroutines left behind:\n%s", left)
	})
}

// ourGoroutines are the stacks that go through this package or the SSH
// library, but not through a test function.
func ourGoroutines() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var ours []string
	for _, g := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(g, "testing.tRunner") || strings.Contains(g, "testing.(*T)") {
			continue
		}
		if strings.Contains(g, "/fleet/sshconn.") || strings.Contains(g, "x/crypto/ssh.") {
			ours = append(ours, g)
		}
	}
	return strings.Join(ours, "\n\n")
}

// soon waits until f holds; things on the other side of a connection happen
// in their own time.
func soon(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
