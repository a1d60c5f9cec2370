package fleet

import (
	"context"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
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

// noteQueue makes an event of what became of a commit that had waited.
func (f *Fleet) noteQueue(ctx context.Context, r commits.Result) {
	e := daemon.Event{VMID: r.VMID, Name: r.VMName, CommitID: r.CommitID}
	switch r.Status {
	case commits.StatusCommitted:
		e.Type, e.Text = daemon.QueueSent, "the commit of "+e.Title()+" that had waited was taken"
	case commits.StatusExpired:
		e.Type, e.Text = daemon.QueueExpired, "the commit of "+e.Title()+" has waited too long: no snapshot was taken"
	default:
		return
	}
	f.Events.Note(ctx, e)
}

// second is a moment as scripts get it.
func second(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}
