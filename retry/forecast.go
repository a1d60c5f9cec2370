package retry

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// forecastEnough is the number of cases below which a median would only pretend to know.
const forecastEnough = 3

// Forecast is what past outages say about the present one.
type Forecast struct {
	N       int           `json:"n"`     // past outages known
	Known   bool          `json:"known"` // N is enough to say anything
	Median  time.Duration `json:"median_ns,omitempty"`
	Longest time.Duration `json:"longest_ns,omitempty"`

	Lasted         time.Duration `json:"lasted_ns,omitempty"`    // how long the present one has lasted; 0 if there is none
	Longer         int           `json:"longer"`                 // past outages that lasted longer than that
	RemainingKnown bool          `json:"remaining_known"`        // Longer is enough to say anything
	Remaining      time.Duration `json:"remaining_ns,omitempty"` // median of what those still had to go
}

// Forecast compares the present outage with the past ones. With fewer than three to compare with, it knows nothing
// and says so.
func (s State) Forecast(now time.Time) Forecast {
	var lengths, rest []time.Duration
	var f Forecast
	if s.Outage != nil {
		f.Lasted = s.Outage.Length(now)
	}
	for _, o := range s.Past {
		length := o.Length(now)
		if o.End.IsZero() || length <= 0 { // a clock that was set back
			continue
		}
		lengths = append(lengths, length)
		if length > f.Lasted {
			rest = append(rest, length-f.Lasted)
		}
	}
	f.N, f.Longer = len(lengths), len(rest)
	if f.N < forecastEnough {
		return f
	}
	f.Known, f.Median, f.Longest = true, median(lengths), slices.Max(lengths)
	if f.Longer >= forecastEnough {
		f.RemainingKnown, f.Remaining = true, median(rest)
	}
	return f
}

// String says it in one line.
func (f Forecast) String() string {
	switch {
	case f.N == 0:
		return "ETA unknown (no earlier outage seen)"
	case !f.Known:
		return fmt.Sprintf("ETA unknown (only %d earlier seen)", f.N)
	}
	past := fmt.Sprintf("of %d past outages half were over within %s, the longest took %s", f.N, brief(f.Median), brief(f.Longest))
	switch {
	case f.Lasted <= 0:
		return past
	case f.RemainingKnown:
		return fmt.Sprintf("%s; of the %d that lasted longer than %s half were over %s later",
			past, f.Longer, brief(f.Lasted), brief(f.Remaining))
	case f.Longer == 0:
		return past + "; this one is already longer than all of them"
	}
	return fmt.Sprintf("%s; only %d lasted longer than this one has, too few to tell how much is left", past, f.Longer)
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	n := len(d)
	if n%2 == 1 {
		return d[n/2]
	}
	return d[n/2-1] + (d[n/2]-d[n/2-1])/2
}

// brief writes a duration with as much precision as anybody needs: 45s, 12m, 3h5m.
func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Round(time.Minute)/time.Minute))
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%dm", int(d/time.Hour), int(d%time.Hour/time.Minute))
}

// WarningKind names an early sign of trouble.
type WarningKind string

// The early signs.
const (
	WarnFailedCall    WarningKind = "failed_call"    // a call failed lately, though the API counts as up
	WarnRisingLatency WarningKind = "rising_latency" // the API answers much slower than usual
)

// Warning is an early sign of trouble.
type Warning struct {
	Kind WarningKind `json:"kind"`
	Text string      `json:"text"`
	At   time.Time   `json:"at"`
}

// Warnings returns the early signs at now. There are none during an outage: it is no longer early.
func (s State) Warnings(now time.Time) []Warning {
	if s.Outage != nil {
		return nil
	}
	var w []Warning
	if t := s.FailedAttempts; t != nil && now.Sub(t.Last) < attemptsLife {
		w = append(w, Warning{WarnFailedCall, fmt.Sprintf("calls that failed lately: %d (%s)", t.Calls, t.Cause.Text()), t.Last})
	}
	if s.Latency.rising() {
		w = append(w, Warning{WarnRisingLatency,
			fmt.Sprintf("the API takes %s to answer, usually %s", s.Latency.RecentTime(), s.Latency.usualTime()), s.LastAnswer})
	}
	return w
}

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

// rising reports whether the API answers much slower than usual.
func (l Latency) rising() bool {
	return l.Count >= latencyEnough && slow(l.Recent, l.Usual)
}

// unusual reports whether d alone would be worth noting at once.
func (l Latency) unusual(d time.Duration) bool {
	return l.Count >= latencyEnough && slow(float64(d)/float64(time.Millisecond), l.Usual)
}

func slow(ms, usual float64) bool {
	return ms > latencyFactor*usual && ms-usual > float64(latencyFloor/time.Millisecond)
}

// RecentTime is the mean that adapts at once.
func (l Latency) RecentTime() time.Duration { return millis(l.Recent) }

// usualTime is the mean that stands for what is usual.
func (l Latency) usualTime() time.Duration { return millis(l.Usual) }

func millis(f float64) time.Duration {
	return time.Duration(math.Round(f)) * time.Millisecond
}
