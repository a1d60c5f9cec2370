package retry

import (
	"fmt"
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
		return "no idea how long: no past outage is recorded yet"
	case !f.Known:
		return fmt.Sprintf("no idea how long: fewer than %d past outages are recorded", forecastEnough)
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
