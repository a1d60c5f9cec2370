//go:build unix

package mux

import (
	"testing"
	"time"
)

// A borrowed command needs one round trip: the session is open already.
func TestSharedRoundTrips(t *testing.T) {
	const rtt = 60 * time.Millisecond
	s := share(t, rtt, Options{})
	took := 0
	for range 8 {
		time.Sleep(3 * rtt) // the spare session needs its own round trip first
		before := s.relay.RoundTrips()
		c := s.borrow(t)
		if err := c.Exec(t.Context(), "true", nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		took = s.relay.RoundTrips() - before
		_ = c.Close()
		if took <= 1 {
			return
		}
	}
	t.Errorf("%d round trips", took)
}

func BenchmarkSharedExec(b *testing.B) {
	for _, rtt := range []time.Duration{0, 80 * time.Millisecond} {
		b.Run(rtt.String(), func(b *testing.B) {
			s := share(b, rtt, Options{})
			for b.Loop() {
				c := s.borrow(b)
				if err := c.Exec(b.Context(), "true", nil, nil, nil); err != nil {
					b.Fatal(err)
				}
				_ = c.Close()
			}
		})
	}
}
