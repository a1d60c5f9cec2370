package sshconn

import (
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
	"github.com/vers-fleet/vers-fleet/fleet/sim/wan"
)

// far puts a distance between the dialer and the VM.
func far(t testing.TB, v vm, rtt time.Duration) vm {
	t.Helper()
	r, err := wan.Listen(t.Context(), v.TLSAddr, wan.Options{RTT: rtt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	v.target.Endpoints = []Endpoint{{Network: NetworkTLS, Address: r.Addr}}
	return v
}

// roundTrips says how many of them f needs: what remains at a distance after
// taking off the time that it takes nearby. A busy machine makes it more, so
// it is measured again, a few times, until it is at most enough.
func roundTrips(near, away vm, rtt time.Duration, enough float64, f func(vm)) float64 {
	clock := func(best time.Duration, v vm) time.Duration {
		start := time.Now()
		f(v)
		return min(best, time.Since(start))
	}
	hereBest, awayBest := time.Hour, time.Hour
	n := 0.0
	for range 8 {
		hereBest, awayBest = clock(hereBest, near), clock(awayBest, away)
		if n = float64(awayBest-hereBest) / float64(rtt); n <= enough {
			break
		}
	}
	return n
}

// The floor with x/crypto is ten: TCP, TLS 1.3, version, key exchange, service
// request, "none", key offer, signature, channel, exec. A new session on an
// open connection costs the last two.
func TestRoundTrips(t *testing.T) {
	near := startVM(t, sshd.Options{})
	const rtt = 120 * time.Millisecond
	away := far(t, near, rtt)
	command := func(v vm) {
		c, err := v.dialer.Dial(t.Context(), v.target)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Exec(t.Context(), "true", nil, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := roundTrips(near, away, rtt, 10.5, command); n > 10.5 {
		t.Errorf("a command on a new connection took %.1f round trips", n)
	} else {
		t.Logf("a command on a new connection: %.2f round trips", n)
	}
	conns := map[string]*Conn{near.target.Endpoints[0].Address: near.dial(t), away.target.Endpoints[0].Address: away.dial(t)}
	again := func(v vm) { run(t, conns[v.target.Endpoints[0].Address], "true") }
	if n := roundTrips(near, away, rtt, 2.5, again); n > 2.5 {
		t.Errorf("a command on an open connection took %.1f round trips", n)
	} else {
		t.Logf("a command on an open connection: %.2f round trips", n)
	}
}

func BenchmarkDialExec(b *testing.B) {
	for _, rtt := range []time.Duration{0, 40 * time.Millisecond, 80 * time.Millisecond} {
		b.Run(rtt.String(), func(b *testing.B) {
			v := far(b, startVM(b, sshd.Options{}), rtt)
			for b.Loop() {
				c, err := v.dialer.Dial(b.Context(), v.target)
				if err != nil {
					b.Fatal(err)
				}
				run(b, c, "true")
				_ = c.Close()
			}
		})
	}
}
