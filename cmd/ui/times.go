package ui

import (
	"fmt"
	"time"
)

// Absolute is the form of a time in pipes: RFC 3339 in UTC, "-" if zero.
func Absolute(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// Ago is the form of a time on a terminal: "3 minutes ago", "in 2 hours",
// "just now", "-" if zero.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := now.Sub(t)
	switch {
	case d > -2*time.Second && d < 10*time.Second:
		return "just now"
	case d < 0:
		return "in " + Span(-d)
	default:
		return Span(d) + " ago"
	}
}

// Old is the age of what was true at t: "5 minutes old", "just now".
func Old(t, now time.Time) string {
	if d := now.Sub(t); d >= 10*time.Second {
		return Span(d) + " old"
	}
	return "just now"
}

// Span is a duration in one unit, rounded down: "42 seconds", "1 hour".
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{365 * day, "year"}, {30 * day, "month"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= u.unit {
			return plural(int64(d/u.unit), u.name)
		}
	}
	return plural(int64(d/time.Second), "second")
}

// Count is a number of things: "1 VM", "12 VMs".
func Count[N int | int64](n N, unit string) string { return plural(int64(n), unit) }

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// Bytes is a size for people in binary units: "512 B", "1.5 MiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/1024, "KMGTPE"
	for v >= 1023.95 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}

// short is a duration as "1h05m", "3m20s" or "12s", for countdowns.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 99:
		return ">99h"
	case h > 0:
		return fmt.Sprintf("%dh%02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%02ds", m, s)
	default:
		return fmt.Sprintf("%ds", s)
	}
}
