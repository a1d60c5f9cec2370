package retry

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxServerWait is the longest wait a server can impose. What it asks for is never undercut, but more than a month
// is nobody's wish: it is a proxy's mistake, which must not silence the program for good.
const maxServerWait = 30 * 24 * time.Hour

// LongServerWait bounds the jitter behind a wait, and is from when on people are told that there is no use in asking.
const LongServerWait = 10 * time.Minute

// ParseRetryAfter reads the values of the headers Retry-After (RFC 9110 section 10.2.3) and Retry-After-Ms
// (milliseconds, not standardised). A valid Retry-After-Ms wins. Dates are measured from now: pass the moment of the
// answer's own Date header where it has one, then a wrong clock on either side does no harm. The result lies within
// [0, maxServerWait]. Empty, negative, past, overflowing and malformed values count as absent.
func ParseRetryAfter(retryAfter, retryAfterMs string, now time.Time) (time.Duration, bool) {
	if d, ok := parseNumber(retryAfterMs, time.Millisecond); ok {
		return d, true
	}
	if d, ok := parseNumber(retryAfter, time.Second); ok {
		return d, true
	}
	at, ok := parseHTTPDate(strings.TrimSpace(retryAfter), now)
	if !ok || at.Before(now) {
		return 0, false
	}
	return min(at.Sub(now), maxServerWait), true
}

// parseNumber reads digits with an optional fraction. The standard allows no fraction, but a server that sends "1.5"
// plainly means it, and ignoring it would mean to return too early.
func parseNumber(s string, unit time.Duration) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	whole, frac, hasFrac := strings.Cut(s, ".")
	if !digits(whole) || hasFrac && !digits(frac) {
		return 0, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, false
	}
	d := min(time.Duration(n)*unit, maxServerWait)
	if hasFrac {
		f, err := strconv.ParseFloat("0."+frac, 64)
		if err != nil {
			return 0, false
		}
		d = min(d+time.Duration(math.Ceil(f*float64(unit))), maxServerWait)
	}
	return d, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// parseHTTPDate reads the three forms of RFC 9110 section 5.6.7.
func parseHTTPDate(s string, now time.Time) (time.Time, bool) {
	const (
		imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"
		rfc850     = "Monday, 02-Jan-06 15:04:05 GMT"
		asctime    = time.ANSIC
	)
	for _, layout := range [...]string{imfFixdate, asctime} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	t, err := time.Parse(rfc850, s)
	if err != nil {
		return time.Time{}, false
	}
	return inCentury(t, now), true
}

// inCentury gives a two-digit year its century: the one of now, unless that lies more than 50 years ahead, as RFC
// 9110 section 5.6.7 rules; and the next one if it lies more than 50 years back, so that 2099 can name 2100.
func inCentury(t, now time.Time) time.Time {
	year := now.UTC().Year()/100*100 + t.Year()%100
	t = time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	switch {
	case t.After(now.AddDate(50, 0, 0)):
		return t.AddDate(-100, 0, 0)
	case t.Before(now.AddDate(-50, 0, 0)):
		return t.AddDate(100, 0, 0)
	}
	return t
}
