package wan

import (
	"testing"
	"time"
)

// After k round trips, slow start has let 10 segments times 2^k - 1 pass.
func TestSlowStartDoubles(t *testing.T) {
	const rtt = 80 * time.Millisecond
	start := time.Unix(0, 0)
	w := newWindow(rtt, 4<<20)
	trips := map[int64]int{}
	for now, sent := start, 0; sent < 3<<20; {
		at, n := w.admit(now, 1<<20)
		w.sent(at, n)
		trips[int64(at.Sub(start)/rtt)] += n
		now, sent = at, sent+n
	}
	for trip, want := range []int{initialWindow, 2 * initialWindow, 4 * initialWindow, 8 * initialWindow} {
		if got := trips[int64(trip)]; got != want {
			t.Errorf("round trip %d: %d bytes sent, want %d", trip, got, want)
		}
	}
}

func TestWindowLimit(t *testing.T) {
	const rtt, limit = time.Second, 50_000
	w := newWindow(rtt, limit)
	now, perTrip := time.Unix(0, 0), map[int64]int{}
	for range 200 {
		at, n := w.admit(now, 10_000)
		w.sent(at, n)
		perTrip[at.Unix()] += n
		now = at
	}
	for trip, n := range perTrip {
		if n > limit+segment {
			t.Errorf("%d bytes in round trip %d", n, trip)
		}
	}
}

func TestLinkSerialises(t *testing.T) {
	l := link{rate: 1000}
	start := time.Unix(100, 0)
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
		if got := l.send(start, 1000).Sub(start); got != want {
			t.Errorf("piece %d left after %v, want %v", i, got, want)
		}
	}
	if free := (&link{}).send(start, 1<<30); !free.Equal(start) {
		t.Error("an unlimited link took time")
	}
}
