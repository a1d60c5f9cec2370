package sshconn

import (
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
	"github.com/vers-fleet/vers-fleet/fleet/sim/wan"
)

// far puts a distance between the dialer and the VM.
func far(t testing.TB, v vm, rtt time.Duration) (vm, *wan.Relay) {
	t.Helper()
	r, err := wan.Listen(t.Context(), v.TLSAddr, wan.Options{RTT: rtt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	v.target.Endpoints = []Endpoint{{Network: NetworkTLS, Address: r.Addr}}
	return v, r
}

// checkRoundTrips counts those that f needs. On a busy machine two words that
// do not wait for each other may fall into two turns: so it may try again.
func checkRoundTrips(t *testing.T, what string, r *wan.Relay, want int, f func()) {
	t.Helper()
	got := 0
	for range 8 {
		before := r.RoundTrips()
		f()
		if got = r.RoundTrips() - before; got <= want {
			return
		}
	}
	t.Errorf("%s took %d round trips, want %d", what, got, want)
}

// The floor with x/crypto is ten: TCP, TLS 1.3, version, key exchange, service
// request, "none", key offer, signature, channel, exec. A new session on an
// open connection costs the last two.
func TestRoundTrips(t *testing.T) {
	v, relay := far(t, startVM(t, sshd.Options{}), 60*time.Millisecond)
	checkRoundTrips(t, "a command on a new connection", relay, 10, func() {
		c := v.dial(t)
		run(t, c, "true")
	})
	c := v.dial(t)
	checkRoundTrips(t, "a command on an open connection", relay, 2, func() { run(t, c, "true") })
}

func BenchmarkDialExec(b *testing.B) {
	for _, rtt := range []time.Duration{0, 40 * time.Millisecond, 80 * time.Millisecond} {
		b.Run(rtt.String(), func(b *testing.B) {
			v, _ := far(b, startVM(b, sshd.Options{}), rtt)
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
