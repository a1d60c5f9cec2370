package ui

import (
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// What is clean can be cut to any width.
func FuzzTruncate(f *testing.F) {
	for _, seed := range []string{"a\x1b[31m\u202e\xff", "", "wide: 日本語", "e\u0301\u200d👩\u200d🚀", "\r\n\t\x00\x7f\u0085\u2028\ufeff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := safe.Clean(s)
		if w := Width(Truncate(got, 7)); w > 7 {
			t.Fatalf("Truncate(%q, 7) takes %d columns", got, w)
		}
	})
}

func TestTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", 9 * time.Second: "just now", 42 * time.Second: "42 seconds ago",
		time.Minute: "1 minute ago", 3*time.Hour + 59*time.Minute: "3 hours ago", 50 * time.Hour: "2 days ago",
		400 * 24 * time.Hour: "1 year ago", -2 * time.Hour: "in 2 hours", -time.Second: "just now",
	} {
		if got := Ago(noon.Add(-d), noon); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := Absolute(noon.In(time.FixedZone("x", 3600))); got != "2026-02-24T12:00:00Z" {
		t.Errorf("Absolute: %q", got)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 3 << 30: "3.0 GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
