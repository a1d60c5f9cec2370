package problem

import (
	"fmt"
	"time"
)

// Clock renders a moment for a sentence: the local time of day and, where that
// is another, the one in UTC, with the date when it is not close, and with seconds
// when it is yet to come.
func Clock(t time.Time) string { return clockOf(t.Local(), time.Now()) }

func clockOf(t, now time.Time) string {
	form := "15:04"
	if t.After(now) {
		form = time.TimeOnly
	}
	if d := now.Sub(t); d > 12*time.Hour || d < -12*time.Hour {
		form = "2006-01-02 15:04"
	}
	utc := t.UTC().Format(form) + " UTC"
	if _, offset := t.Zone(); offset == 0 {
		return utc
	}
	return t.Format(form+" MST") + " = " + utc
}

// Dated is Clock with the date, for a moment in a list of many.
func Dated(t time.Time) string { return datedOf(t.Local()) }

func datedOf(t time.Time) string {
	const day, clock = "2006-01-02 ", "15:04 MST"
	utc := t.UTC()
	if _, offset := t.Zone(); offset == 0 {
		return utc.Format(day + clock)
	}
	if t.Format(day) == utc.Format(day) {
		return t.Format(day+clock) + " = " + utc.Format(clock)
	}
	return t.Format(day+clock) + " = " + utc.Format(day+clock)
}

// Moment renders a moment for a text that is kept: it is always dated.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Ago renders how long ago t was, for an error text.
func Ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
