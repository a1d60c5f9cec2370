package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// showHistory prints the outages seen from here, on a terminal below a strip of
// days as status pages have it.
func showHistory(env *Env, f *fleet.Fleet) error {
	items, err := f.History()
	if err != nil {
		env.Streams.Warnf("what is known of earlier outages cannot be read: %v", err)
	}
	if env.Streams.OutTerminal() && env.Format().Table() && len(items) > 0 {
		if err := writeText(env.Streams.Out, dayStrip(env.Streams.OutStyle(), items, time.Now())); err != nil {
			return err
		}
	}
	when := ui.Absolute
	if env.Streams.OutTerminal() {
		when = problem.Dated
	}
	return ui.Listing[fleet.HistoryItem]{
		Columns: []ui.Column[fleet.HistoryItem]{
			{Header: "SINCE", Wraps: true, Value: func(h fleet.HistoryItem) string { return when(h.SinceAt) }},
			{Header: "UNTIL", Wraps: true, Value: func(h fleet.HistoryItem) string {
				if h.UntilAt.IsZero() {
					return "now"
				}
				return when(h.UntilAt)
			}},
			{Header: "LASTED", Value: func(h fleet.HistoryItem) string { return ui.Span(time.Duration(h.Duration * float64(time.Second))) }},
			{Header: "CAUSES", Wraps: true, Value: causesText},
		},
		Name:  func(h fleet.HistoryItem) string { return ui.Absolute(h.SinceAt) },
		Empty: "no outage was seen from here",
	}.Print(env.Streams, env.Format(), items)
}

// causesText tells the causes, the most frequent first.
func causesText(h fleet.HistoryItem) string {
	causes := slices.SortedFunc(maps.Keys(h.Causes), func(a, b string) int {
		if n := h.Causes[b] - h.Causes[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for i, c := range causes {
		causes[i] = outage.CauseText(c)
	}
	return dash(strings.Join(causes, ", "))
}

// stripDays is how many days the strip shows.
const stripDays = 60

// dayStrip draws a mark for each of the last days, in UTC: low and green without
// an outage, half for less than an hour of one, full beyond. Nothing is drawn
// for days before the first outage that was seen: nobody may have looked.
func dayStrip(st ui.Styler, items []fleet.HistoryItem, now time.Time) string {
	const day = 24 * time.Hour
	first := now.UTC().Truncate(day).Add(-(stripDays - 1) * day)
	from := max(0, int(items[0].SinceAt.Sub(first)/day))
	var b strings.Builder
	for n := from; n < stripDays; n++ {
		start := first.Add(time.Duration(n) * day)
		switch down := downIn(items, start, start.Add(day), now); {
		case down == 0:
			b.WriteString(st.Apply(ui.Good, "▁"))
		case down < time.Hour:
			b.WriteString(st.Apply(ui.Notice, "▅"))
		default:
			b.WriteString(st.Apply(ui.Bad, "█"))
		}
	}
	return b.String() + fmt.Sprintf("\n%s to today; ▁ no outage seen, ▅ less than an hour, █ more\n\n", first.Add(time.Duration(from)*day).Format("2006-01-02"))
}

// downIn is for how long of a span the API was down.
func downIn(items []fleet.HistoryItem, from, to, now time.Time) (sum time.Duration) {
	for _, h := range items {
		start, end := h.SinceAt, h.UntilAt
		if end.IsZero() {
			end = now
		}
		if start.Before(from) {
			start = from
		}
		if end.After(to) {
			end = to
		}
		sum += max(0, end.Sub(start))
	}
	return sum
}
