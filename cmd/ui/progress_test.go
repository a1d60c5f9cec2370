package ui

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := Fake(true, 100)
		p := s.NewProgress()
		p.Update(Update{Key: "marketing", Total: 100 << 20, Text: "out/a.png"})
		p.Update(Update{Key: "chad\x1b-dev", Total: 50 << 20})
		time.Sleep(time.Second)
		p.Update(Update{Key: "marketing", Done: 10 << 20, Total: 100 << 20, Text: "out/日本.png"})
		p.Update(Update{Key: "chad\x1b-dev", Done: 50 << 20, Total: 50 << 20, End: Finished})
		time.Sleep(200 * time.Millisecond)
		lines := p.render(100, 20)
		want := []string{
			"marketing       10.0 MiB / 100.0 MiB  10%  10.0 MiB/s, 9s left  out/日本.png",
			"total           60.0 MiB / 150.0 MiB  40%",
		}
		if len(lines) != 2 || lines[0] != want[0] || !strings.HasPrefix(lines[1], want[1]) || !strings.HasSuffix(lines[1], "1 of 2 done") {
			t.Errorf("got:\n%s\nwant:\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
		if narrow := p.render(39, 20); narrow[0] != "marketing   10%  10.0 MiB/s, 9s  out/…" || !strings.Contains(narrow[1], "/s") {
			t.Errorf("on a narrow terminal: %q", narrow)
		}
		for _, l := range p.render(30, 20) {
			if Width(l) > 30 {
				t.Errorf("too wide: %q", l)
			}
		}
		p.Stop()
		p.Stop()
		if out := b.Err.String(); !strings.HasSuffix(out, "\r\x1b[1A\x1b[J") {
			t.Errorf("the terminal is not clean after Stop: %q", out)
		}
	})
}

// A line on which nothing comes says that, and no rate of the time before.
func TestProgressSaysThatNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := Fake(true, 80)
		p := s.NewProgress()
		defer p.Stop()
		news := Update{Key: "marketing", Total: 100 << 20, Text: "a.png"}
		for news.Done < 30<<20 {
			p.Update(news)
			time.Sleep(time.Second)
			news.Done += 10 << 20
		}
		news.Done -= 10 << 20
		time.Sleep(11 * time.Second)
		p.Update(news) // the same again is no news
		if got := p.render(80, 20)[0]; got != "marketing    20.0 MiB / 100.0 MiB  20%  nothing for 12s  a.png" {
			t.Errorf("got %q", got)
		}
		news.Text = "b.png"
		p.Update(news)
		if got := p.render(80, 20)[0]; strings.Contains(got, "nothing for") {
			t.Errorf("got %q", got)
		}
	})
}

func TestProgressHeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := Fake(true, 80)
		p := s.NewProgress()
		defer p.Stop()
		for i := range 50 {
			p.Update(Update{Key: string(rune('A' + i)), Total: 10})
		}
		lines := p.render(80, 10)
		if len(lines) != 10 || !strings.Contains(lines[8], "and 42 more") || !strings.HasPrefix(lines[9], "total") {
			t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
		}
	})
}

// In a log there is one line a minute, and none when quiet.
func TestProgressInALog(t *testing.T) {
	for _, c := range []struct {
		rules Rules
		want  int
	}{{Rules{}, 3}, {Rules{Quiet: true}, 0}, {Rules{NoProgress: true}, 0}} {
		synctest.Test(t, func(t *testing.T) {
			s, b := Fake(false, 0)
			s.Configure(c.rules)
			p := s.NewProgress()
			for range 200 {
				p.Update(Update{Key: "vm", Done: 1 << 20, Total: 2 << 20})
				time.Sleep(time.Second)
			}
			p.Stop()
			if got := strings.Count(b.Err.String(), "\n"); got != c.want {
				t.Errorf("%+v: %d lines, want %d:\n%s", c.rules, got, c.want, b.Err)
			}
			if c.want > 0 && !strings.HasPrefix(b.Err.String(), "progress after 1m00s:    1.0 MiB / 2.0 MiB  50%") {
				t.Errorf("unexpected line: %s", b.Err)
			}
		})
	}
}

// What one moment suggests is no rate.
func TestNoEarlyRate(t *testing.T) {
	var r rate
	r.add(noon, 0)
	r.add(noon.Add(300*time.Millisecond), 30)
	if got := r.text(noon.Add(300*time.Millisecond), 1<<20, false); got != "" {
		t.Errorf("after a third of a second: %q", got)
	}
	r.add(noon.Add(1200*time.Millisecond), 1<<20)
	if got := r.text(noon.Add(1200*time.Millisecond), 1<<20, false); got == "" {
		t.Error("no rate after a second")
	}
}
