package retry

import (
	"math/rand/v2"
	"time"
)

// Defaults of a Policy's zero fields.
const (
	DefaultBase = 500 * time.Millisecond
	DefaultCap  = 20 * time.Second
)

// Policy says how often and for how long a call is repeated. The zero Policy repeats until the context ends,
// with [DefaultBase] and [DefaultCap].
type Policy struct {
	Base        time.Duration  // upper bound of the first wait
	Cap         time.Duration  // upper bound of every wait that the server did not ask for
	MaxElapsed  time.Duration  // no attempt begins later than this after the first; 0 = until the context ends
	MaxAttempts int            // attempts in all; 0 = no limit
	Budget      *Budget        // nil = unlimited
	Rand        func() float64 // uniform in [0,1); nil = math/rand/v2
}

func (p Policy) withDefaults() Policy {
	if p.Base <= 0 {
		p.Base = DefaultBase
	}
	if p.Cap <= 0 {
		p.Cap = DefaultCap
	}
	p.Cap = max(p.Cap, p.Base)
	if p.Rand == nil {
		p.Rand = rand.Float64
	}
	return p
}

// ceiling is the upper bound of the wait after the given attempt (1, 2, ...).
func (p Policy) ceiling(attempt int) time.Duration {
	c := p.Base
	for i := 1; i < attempt && c < p.Cap; i++ {
		c *= 2
		if c <= 0 { // overflow
			return p.Cap
		}
	}
	return min(c, p.Cap)
}

// delay draws the wait after the given attempt. left is the time until the last moment at which an attempt may begin.
// It is false when there is no use in waiting: too little time is left, or less than the server asked for.
func (p Policy) delay(attempt int, h Hint, left time.Duration) (time.Duration, bool) {
	if h.HasAfter && h.After > 0 {
		after := min(h.After, MaxServerWait)
		if after > left {
			return 0, false
		}
		spread := min(max(p.ceiling(attempt), after), left-after)
		return after + p.jitter(spread), true
	}
	ceiling := p.ceiling(attempt)
	if left < min(p.Base, ceiling) {
		return 0, false
	}
	return p.jitter(min(ceiling, left)), true
}

func (p Policy) jitter(width time.Duration) time.Duration {
	return time.Duration(p.Rand() * float64(width))
}
