package retry

import (
	"testing"
	"time"
)

func TestWaiterWakes(t *testing.T) {
	now := time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	for name, c := range map[string]struct {
		state    State
		begun    bool
		min, max time.Duration
	}{
		"nothing known":             {State{}, false, 7500 * time.Millisecond, 12500 * time.Millisecond},
		"a probe is due sooner":     {State{NextProbe: at(4 * time.Second)}, false, 4 * time.Second, 4 * time.Second},
		"another one probes":        {State{Lease: Lease{Until: at(20 * time.Second)}}, false, 20 * time.Second, 20 * time.Second},
		"the server forbids it":     {State{NotBefore: at(time.Minute)}, true, time.Minute, time.Minute},
		"begun just after a call":   {State{LastCall: now}, true, urgentGap, urgentGap},
		"begun long after a call":   {State{LastCall: at(-time.Hour)}, true, time.Second, time.Second},
		"begun, another one probes": {State{LastCall: now, Lease: Lease{Until: at(5 * time.Second)}}, true, 5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if d := c.state.NextPoll(now, c.begun).Sub(now); d < c.min || d > c.max {
				t.Errorf("after %v, want %v to %v", d, c.min, c.max)
			}
		})
	}
}
