package retry

import (
	"testing"
	"time"
)

func past(minutes ...int) []Outage {
	var p []Outage
	for i, n := range minutes {
		start := noon().Add(-time.Duration(len(minutes)-i) * 24 * time.Hour)
		p = append(p, Outage{Start: start, End: start.Add(time.Duration(n) * time.Minute)})
	}
	return p
}

func TestForecast(t *testing.T) {
	const m = time.Minute
	for _, tt := range []struct {
		name   string
		past   []Outage
		lasted time.Duration // 0 = up
		want   Forecast
		text   string
	}{
		{"nothing known", nil, m, Forecast{Lasted: m}, "ETA unknown (no earlier outage seen)"},
		{"two are too few", past(5, 6), m, Forecast{N: 2, Lasted: m, Longer: 2}, "ETA unknown (only 2 earlier seen)"},
		{"up", past(5, 60, 10), 0, Forecast{N: 3, Known: true, Median: 10 * m, Longest: 60 * m, Longer: 3, RemainingKnown: true, Remaining: 10 * m},
			"of 3 past outages half were over within 10m, the longest took 1h0m"},
		{"lasting", past(2, 4, 20, 30, 100), 10 * m,
			Forecast{N: 5, Known: true, Median: 20 * m, Longest: 100 * m, Lasted: 10 * m, Longer: 3, RemainingKnown: true, Remaining: 20 * m},
			"of 5 past outages half were over within 20m, the longest took 1h40m; of the 3 that lasted longer than 10m half were over 20m later"},
		{"longer than most", past(2, 4, 20, 30), 25 * m, Forecast{N: 4, Known: true, Median: 12 * m, Longest: 30 * m, Lasted: 25 * m, Longer: 1},
			"of 4 past outages half were over within 12m, the longest took 30m; only 1 lasted longer than this one has, too few to tell how much is left"},
		{"longer than all", past(2, 4, 20), 25 * m, Forecast{N: 3, Known: true, Median: 4 * m, Longest: 20 * m, Lasted: 25 * m},
			"of 3 past outages half were over within 4m, the longest took 20m; this one is already longer than all of them"},
		{"impossible lengths are left out", append(past(5, -7, 0, 6), Outage{Start: noon()}), m, Forecast{N: 2, Lasted: m, Longer: 2},
			"ETA unknown (only 2 earlier seen)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := State{Past: tt.past}
			if tt.lasted > 0 {
				s.Outage = &Outage{Start: noon().Add(-tt.lasted)}
			}
			got := s.Forecast(noon())
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if got.String() != tt.text {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	now := noon()
	m := NewMemory(&shared{}, MemoryOptions{Now: func() time.Time { return now }})
	kinds := func() []WarningKind {
		s, _ := m.State()
		var k []WarningKind
		for _, w := range s.Warnings(now) {
			k = append(k, w.Kind)
		}
		return k
	}
	for range 10 {
		must(t, m.Succeeded(100*time.Millisecond))
		now = now.Add(writeEvery)
	}
	if k := kinds(); k != nil {
		t.Fatalf("warnings without a reason: %v", k)
	}
	must(t, m.FailedAttempt(failing()))
	now = now.Add(time.Second)
	must(t, m.Succeeded(100*time.Millisecond)) // the repetition worked: still worth a warning
	if k := kinds(); len(k) != 1 || k[0] != WarnFailedCall {
		t.Errorf("after a failed attempt: %v", k)
	}
	now = now.Add(time.Minute)
	must(t, m.Failed(failing()))
	if s, _ := m.State(); !s.Outage.Start.Equal(now) || kinds() != nil {
		t.Errorf("an outage begins after the last success, and is no early warning: %+v", s.Outage)
	}
	must(t, m.Succeeded(0))
	now = now.Add(attemptsLife)
	for range 3 {
		must(t, m.Succeeded(4*time.Second)) // noted at once, not only every 30 s
		now = now.Add(time.Second)
	}
	if k := kinds(); len(k) != 1 || k[0] != WarnRisingLatency {
		t.Errorf("after slow answers: %v", k)
	}
}
