package problem

import (
	"testing"
	"time"
)

// A moment is told by the reader's clock and by that of the platform.
func TestClock(t *testing.T) {
	at := time.Date(2026, 2, 24, 3, 15, 30, 0, time.UTC)
	berlin := time.FixedZone("CET", 3600)
	for _, c := range []struct {
		at, now time.Time
		want    string
	}{
		{at, at.Add(time.Hour), "03:15 UTC"},
		{at.In(berlin), at.Add(time.Hour), "04:15 CET = 03:15 UTC"},
		{at.In(berlin), at.Add(-time.Hour), "04:15:30 CET = 03:15:30 UTC"},
		{at.In(berlin), at.Add(24 * time.Hour), "2026-02-24 04:15 CET = 2026-02-24 03:15 UTC"},
	} {
		if got := clockOf(c.at, c.now); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{at, "2026-02-24 03:15 UTC"},
		{at.In(berlin), "2026-02-24 04:15 CET = 03:15 UTC"},
		{at.Add(20 * time.Hour).In(berlin), "2026-02-25 00:15 CET = 2026-02-24 23:15 UTC"},
	} {
		if got := datedOf(c.at); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
