package retry

import (
	"math/rand/v2"
	"time"
)

// waiterInterval is how often somebody who only waits for the API asks. It
// does not grow: a person waits. One process of a profile asks at a time.
const waiterInterval = 10 * time.Second

// NextPoll is when a process that waits for the API should ask again: at
// the next probe or after a jittered interval, whichever is sooner, but never
// while another one probes or before the server allows it. One that has just
// begun, and has not asked yet, may ask soon after the last call of anybody.
func (s State) NextPoll(now time.Time, begun bool) time.Time {
	spread := 1 - probeJitter + 2*probeJitter*rand.Float64()
	next := now.Add(time.Duration(float64(waiterInterval) * spread))
	if s.NextProbe.After(now) && s.NextProbe.Before(next) {
		next = s.NextProbe
	}
	if begun {
		next = s.LastCall.Add(urgentGap)
	}
	for _, t := range []time.Time{s.NotBefore, s.Lease.Until, now.Add(time.Second)} {
		if t.After(next) {
			next = t
		}
	}
	return next
}
