package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
)

// One mark a day since the first outage seen, by how long it was down.
func TestDayStrip(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC) }
	items := []fleet.HistoryItem{
		{SinceAt: at(5, 3, 20), UntilAt: at(5, 3, 31)},
		{SinceAt: at(7, 22, 0), UntilAt: at(8, 0, 30)},
		{SinceAt: at(10, 11, 30)},
	}
	got, _, _ := strings.Cut(dayStrip(ui.Styler{}, items, now), "\n")
	if want := "▅▁█▅▁▅"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	long := []fleet.HistoryItem{{SinceAt: at(5, 0, 0).AddDate(-1, 0, 0), UntilAt: at(5, 1, 0).AddDate(-1, 0, 0)}}
	if got, _, _ = strings.Cut(dayStrip(ui.Styler{}, long, now), "\n"); got != strings.Repeat("▁", stripDays) {
		t.Errorf("got %s", got)
	}
}
