package problem

import (
	"fmt"
	"time"
)

// Clock renders a moment for an error text: the time of day in UTC, with the
// date when it is not close.
func Clock(t time.Time) string {
	t = t.UTC()
	if d := time.Until(t); d < 12*time.Hour && d > -12*time.Hour {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
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
