package fleet

import (
	"time"

	"github.com/vers-fleet/vers-fleet/retry"
)

// HistoryItem is one outage as it was seen from here. The JSON names are stable.
type HistoryItem struct {
	SinceAt  time.Time      `json:"since_at"`
	UntilAt  time.Time      `json:"until_at,omitzero"` // zero while it lasts
	Duration float64        `json:"duration_seconds"`
	Failures int            `json:"failures"`
	Causes   map[string]int `json:"causes"`
}

// History returns the outages that were seen from here, oldest first, the
// present one included. It asks nothing.
func (f *Fleet) History() ([]HistoryItem, error) {
	s, err := f.API.MemoryState()
	all := s.Past
	if s.Condition() == retry.Down {
		all = append(all[:len(all):len(all)], *s.Outage)
	}
	out := make([]HistoryItem, len(all))
	for i, o := range all {
		out[i] = HistoryItem{SinceAt: second(o.Start), UntilAt: second(o.End), Duration: o.Length(f.o.Now()).Seconds(), Failures: o.Failures, Causes: o.Causes}
	}
	return out, err
}

// second is a moment as scripts get it.
func second(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}
