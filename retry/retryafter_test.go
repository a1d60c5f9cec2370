package retry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func noon() time.Time { return time.Date(2026, 2, 24, 12, 0, 0, 0, time.UTC) }

func TestParseRetryAfter(t *testing.T) {
	const absent = -1
	for _, tt := range []struct {
		after, ms string
		want      time.Duration
	}{
		{"", "", absent},
		{"0", "", 0},
		{"120", "", 2 * time.Minute},
		{" 7 ", "", 7 * time.Second},
		{"1.5", "", 1500 * time.Millisecond},
		{"007", "", 7 * time.Second},
		{"86400", "", 24 * time.Hour},
		{"9223372036", "", maxServerWait},
		{"9223372037", "", absent},           // overflows a duration
		{"99999999999999999999", "", absent}, // overflows an int64
		{"-1", "", absent},
		{"+5", "", absent},
		{"1e3", "", absent},
		{"0x10", "", absent},
		{".5", "", absent},
		{"5.", "", absent},
		{"5 seconds", "", absent},
		{"5, 10", "", absent},
		{"NaN", "", absent},
		{"Infinity", "", absent},
		{"soon", "", absent},
		{"\x00", "", absent},
		{"Tue, 24 Feb 2026 12:00:30 GMT", "", 30 * time.Second},
		{"Tuesday, 24-Feb-26 12:00:30 GMT", "", 30 * time.Second},
		{"Tue Feb 24 12:00:30 2026", "", 30 * time.Second},
		{"Thu Mar  5 12:00:30 2026", "", 9*24*time.Hour + 30*time.Second},
		{"Tue, 24 Feb 2026 12:00:00 GMT", "", 0},
		{"Tue, 24 Feb 2026 11:59:59 GMT", "", absent},   // past
		{"Tuesday, 24-Feb-77 12:00:30 GMT", "", absent}, // more than 50 years ahead: 1977
		{"Tuesday, 24-Feb-75 12:00:30 GMT", "", maxServerWait},
		{"Tue, 24 Feb 2026 12:00:30 PST", "", absent},
		{"Tue, 32 Feb 2026 12:00:30 GMT", "", absent},
		{"Fri, 31 Dec 9999 23:59:59 GMT", "", maxServerWait},
		{"", "1500", 1500 * time.Millisecond},
		{"", "1500.5", 1500*time.Millisecond + 500*time.Microsecond},
		{"30", "1500", 1500 * time.Millisecond},
		{"30", "junk", 30 * time.Second},
		{"30", "-1", 30 * time.Second},
		{"junk", "99999999", 99999999 * time.Millisecond},
	} {
		got, ok := ParseRetryAfter(tt.after, tt.ms, noon())
		if !ok {
			got = absent
		}
		if got != tt.want {
			t.Errorf("%q, %q: %s, want %s", tt.after, tt.ms, got, tt.want)
		}
	}
}

func TestTwoDigitYearAtTheTurnOfACentury(t *testing.T) {
	eve := time.Date(2099, 12, 31, 23, 59, 50, 0, time.UTC)
	if d, ok := ParseRetryAfter("Friday, 01-Jan-00 00:00:20 GMT", "", eve); !ok || d != 30*time.Second {
		t.Errorf("%s, %v", d, ok)
	}
}

// header makes something a server, a broken proxy or an attacker could send.
func header(r *rand.Rand, now time.Time) string {
	at := now.Add(time.Duration(r.Int64N(int64(4*time.Hour))) - 2*time.Hour).UTC()
	switch r.IntN(9) {
	case 0:
		return strconv.Itoa(r.IntN(1000))
	case 1:
		return strconv.FormatInt(r.Int64()-r.Int64(), 10)
	case 2:
		return at.Format("Mon, 02 Jan 2006 15:04:05 GMT")
	case 3:
		return at.Format("Monday, 02-Jan-06 15:04:05 GMT")
	case 4:
		return at.Format(time.ANSIC)
	case 5:
		return fmt.Sprint(r.NormFloat64() * 1000)
	case 6:
		return strings.Repeat("9", r.IntN(40))
	case 7:
		b := []byte(at.Format(time.RFC1123))
		b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
		return string(b)
	}
	b := make([]byte, r.IntN(30))
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return string(b)
}

// allowed is the earliest moment a valid header permits, read in another way than the code does; zero if it permits
// any.
func allowed(s string, now time.Time) time.Time {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 33); err == nil && !strings.HasPrefix(s, "+") {
		return now.Add(min(time.Duration(n)*time.Second, maxServerWait))
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && strings.Trim(s, "0123456789") == "." && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && f < 1e9 {
		return now.Add(min(time.Duration(f*1e6)*time.Microsecond, maxServerWait))
	}
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if at, err := time.Parse(layout, s); err == nil && at.Year() < 2070 {
			return now.Add(min(at.Sub(now), maxServerWait))
		}
	}
	return time.Time{}
}

func TestFuzzedRetryAfterHeaders(t *testing.T) {
	const seed = 20260224
	r := rand.New(rand.NewPCG(seed, 1))
	valid := 0
	for i := range 1000 {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			value := header(r, start)
			p := Policy{Base: time.Second, Cap: 30 * time.Second, MaxElapsed: time.Duration(1+r.IntN(1500)) * time.Second, Rand: r.Float64}
			calls := 0
			err := Do(t.Context(), p, true, nil, func(context.Context) error {
				if calls++; calls > 1 {
					return nil
				}
				d, ok := ParseRetryAfter(value, "", start)
				return failure{Hint{Transient: true, After: d, HasAfter: ok}}
			})
			took, earliest := time.Since(start), allowed(value, start)
			if earliest.After(start) {
				valid++
			}
			if calls > 1 && start.Add(took).Before(earliest) {
				t.Errorf("case %d, %q: asked again after %s, allowed from %s", i, value, took, earliest.Sub(start))
			}
			if limit := max(p.Cap, 2*earliest.Sub(start)); took > p.MaxElapsed || calls > 1 && took > limit {
				t.Errorf("case %d, %q: waited %s, cap %s of %s", i, value, took, limit, p.MaxElapsed)
			}
			if err != nil && (took != 0 || calls != 1) {
				t.Errorf("case %d, %q: waited %s in vain", i, value, took)
			}
		})
	}
	if valid < 200 {
		t.Errorf("only %d of 1000 headers asked for a wait: the test tests nothing", valid)
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		f.Add(header(r, noon()), "")
		f.Add("", header(r, noon()))
	}
	f.Fuzz(func(t *testing.T, after, ms string) {
		d, ok := ParseRetryAfter(after, ms, noon())
		if d < 0 || d > maxServerWait || !ok && d != 0 {
			t.Errorf("%q, %q: %s, %v", after, ms, d, ok)
		}
		if earliest := allowed(after, noon()); ms == "" && earliest.After(noon()) && (d-earliest.Sub(noon())).Abs() > time.Microsecond {
			t.Errorf("%q: %s, want %s", after, d, earliest.Sub(noon()))
		}
	})
}
