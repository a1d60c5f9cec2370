package retry

import (
	"math"
	"time"
)

// Latency follows how fast the API answers, as two exponentially weighted means: one that adapts at once, and one
// that stands for what is usual.
type Latency struct {
	Recent float64 `json:"recent_ms,omitempty"` // milliseconds
	Usual  float64 `json:"usual_ms,omitempty"`  // milliseconds
	Count  int     `json:"count,omitempty"`     // answers measured, at most latencyEnough
}

const (
	weightRecent  = 0.5
	weightUsual   = 0.1
	latencyEnough = 5                      // answers before "usual" means anything
	latencyFactor = 3                      // recent against usual
	latencyFloor  = 500 * time.Millisecond // smaller differences are not worth a warning
)

func (l *Latency) add(d time.Duration) {
	ms := float64(min(max(d, 0), 10*time.Minute)) / float64(time.Millisecond)
	if l.Count == 0 {
		l.Recent, l.Usual = ms, ms
	}
	l.Recent += weightRecent * (ms - l.Recent)
	l.Usual += weightUsual * (ms - l.Usual)
	l.Count = min(l.Count+1, latencyEnough)
}

// bound forgets what no measurement could have produced.
func (l *Latency) bound() {
	ok := func(f float64) bool { return f >= 0 && f <= float64(10*time.Minute/time.Millisecond) }
	if !ok(l.Recent) || !ok(l.Usual) || l.Count < 0 {
		*l = Latency{}
	}
	l.Count = min(l.Count, latencyEnough)
}

// Rising reports whether the API answers much slower than usual.
func (l Latency) Rising() bool {
	return l.Count >= latencyEnough && slow(l.Recent, l.Usual)
}

// unusual reports whether d alone would be worth noting at once.
func (l Latency) unusual(d time.Duration) bool {
	return l.Count >= latencyEnough && slow(float64(d)/float64(time.Millisecond), l.Usual)
}

func slow(ms, usual float64) bool {
	return ms > latencyFactor*usual && ms-usual > float64(latencyFloor/time.Millisecond)
}

// RecentTime and UsualTime are the means as durations.
func (l Latency) RecentTime() time.Duration { return millis(l.Recent) }

// UsualTime is the mean that stands for what is usual.
func (l Latency) UsualTime() time.Duration { return millis(l.Usual) }

func millis(f float64) time.Duration {
	return time.Duration(math.Round(f)) * time.Millisecond
}
