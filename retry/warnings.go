package retry

import (
	"fmt"
	"time"
)

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
	if s.Latency.Rising() {
		w = append(w, Warning{WarnRisingLatency,
			fmt.Sprintf("the API takes %s to answer, usually %s", s.Latency.RecentTime(), s.Latency.UsualTime()), s.LastAnswer})
	}
	return w
}
