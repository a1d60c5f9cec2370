package wan

import (
	"sync"
	"time"
)

// link is one direction of the shared line: a piece leaves when those before
// it have left.
type link struct {
	rate int64 // bytes per second; 0 is unlimited
	mu   sync.Mutex
	free time.Time
}

// send returns when the last of n bytes has left that may leave from t on.
func (l *link) send(t time.Time, n int) time.Time {
	if l.rate <= 0 {
		return t
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.After(t) {
		t = l.free
	}
	l.free = t.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	return l.free
}

const (
	segment       = 1460         // TCP payload of an Ethernet frame
	initialWindow = 10 * segment // RFC 6928
)

// window is TCP's slow start without loss: what may be under way grows by
// what was acknowledged, so it doubles each round trip. Used by one goroutine.
type window struct {
	rtt, limit     int64 // nanoseconds, bytes
	size, underway int64
	acks           []ack // in order of time
}

type ack struct {
	at time.Time
	n  int64
}

func newWindow(rtt time.Duration, limit int64) *window {
	return &window{rtt: int64(rtt), limit: limit, size: initialWindow}
}

// admit returns when, from t on, some of want bytes may be sent, and how many.
func (w *window) admit(t time.Time, want int) (time.Time, int) {
	if w.rtt == 0 {
		return t, want
	}
	for {
		for len(w.acks) > 0 && !w.acks[0].at.After(t) {
			w.underway -= w.acks[0].n
			w.size = min(w.size+w.acks[0].n, w.limit)
			w.acks = w.acks[1:]
		}
		room := w.size - w.underway
		if room >= int64(want) || room >= segment || len(w.acks) == 0 {
			return t, min(want, int(max(room, segment)))
		}
		t = w.acks[0].at
	}
}

// sent records that n bytes left at t; they are acknowledged a round trip later.
func (w *window) sent(t time.Time, n int) {
	if w.rtt == 0 {
		return
	}
	w.underway += int64(n)
	w.acks = append(w.acks, ack{at: t.Add(time.Duration(w.rtt)), n: int64(n)})
}
