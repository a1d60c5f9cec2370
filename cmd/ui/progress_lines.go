package ui

import (
	"fmt"
	"strings"
	"time"
)

// rate is a moving average of bytes per second: over all the time at first,
// then over about the last ten seconds, so that "time left" is calm but
// follows a changing line.
type rate struct {
	began  time.Time
	at     time.Time
	done   int64
	perSec float64
}

const rateWindow = 10 * time.Second

// rateFrom is how long a line must have been watched before its rate means anything.
const rateFrom = time.Second

// longestLeft is the longest time left that is worth telling: more only shows
// that a line has hardly begun.
const longestLeft = 48 * time.Hour

func (r *rate) add(now time.Time, done int64) {
	if r.at.IsZero() || done < r.done {
		*r = rate{began: now, at: now, done: done}
		return
	}
	dt := now.Sub(r.at)
	if dt < 200*time.Millisecond {
		return
	}
	v := float64(done-r.done) / dt.Seconds()
	r.perSec += float64(dt) / float64(max(dt, min(rateWindow, now.Sub(r.began)))) * (v - r.perSec)
	r.at, r.done = now, done
}

// text is "12.0 MiB/s, 1m02s left", as far as it is known. A line without
// news for a while has no rate worth telling.
func (r rate) text(now time.Time, left int64, narrow bool) string {
	if r.perSec < 1 || r.at.Sub(r.began) < rateFrom || now.Sub(r.at) > rateWindow {
		return ""
	}
	s := Bytes(int64(r.perSec)) + "/s"
	if seconds := float64(left) / r.perSec; left > 0 && seconds < longestLeft.Seconds() {
		s += ", " + short(time.Duration(seconds*float64(time.Second)))
		if !narrow {
			s += " left"
		}
	}
	return s
}

// narrowProgress is the width below which sizes give way to rate and time left.
const narrowProgress = 70

// render is the region: a line per VM still at work, as many as fit, and the
// total when there are several VMs.
func (p *Progress) render(width, height int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, name, narrow := p.now(), 0, width < narrowProgress
	if len(p.lines) > 1 {
		name = len("total")
	}
	for _, l := range p.lines {
		name = max(name, min(Width(l.Key), 24, width/4))
	}
	var out []string
	hidden := 0
	for _, l := range p.lines {
		switch {
		case l.End != Running:
		case len(out) >= max(1, height-2):
			hidden++
		default:
			head := pad(Truncate(l.Key, name), name)
			out = append(out, Truncate(head+"  "+l.amount(narrow)+join(l.pace(now, narrow))+join(l.Text), width))
		}
	}
	if hidden > 0 {
		out = append(out, Truncate(fmt.Sprintf("%s  … and %d more", pad("", name), hidden), width))
	}
	if len(p.lines) > 1 {
		out = append(out, Truncate(pad("total", name)+"  "+p.total(now, narrow), width))
	}
	return out
}

// summary is the one line that goes into a log every minute.
func (p *Progress) summary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	return fmt.Sprintf("progress after %s: %s", short(now.Sub(p.since)), p.total(now, false))
}

func (p *Progress) total(now time.Time, narrow bool) string {
	var sum progressLine
	var ended, failed int
	known := true
	for _, l := range p.lines {
		sum.Done += l.Done
		sum.Total += l.Total
		known = known && (l.Total > 0 || l.End != Running)
		if l.End != Running {
			ended++
		}
		if l.End == Failed {
			failed++
		}
	}
	if !known {
		sum.Total = 0
	}
	p.rate.add(now, sum.Done)
	text := sum.amount(narrow) + join(p.rate.text(now, sum.Total-sum.Done, narrow)) + fmt.Sprintf("  %d of %d done", ended, len(p.lines))
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	return text
}

// amount is "  1.0 MiB / 3.0 MiB  33%", of fixed width so that lines stand still.
func (l *progressLine) amount(narrow bool) string {
	switch {
	case l.Total <= 0:
		return fmt.Sprintf("%10s", Bytes(l.Done))
	case narrow:
		return fmt.Sprintf("%3d%%", min(100, l.Done*100/l.Total))
	}
	return fmt.Sprintf("%10s / %s %3d%%", Bytes(l.Done), Bytes(l.Total), min(100, l.Done*100/l.Total))
}

// quietFrom is from when on it is said that nothing comes: as that, for a
// connection on which nothing comes need not be lost.
const quietFrom = 10 * time.Second

// pace is how fast a line moves, or for how long it has not.
func (l *progressLine) pace(now time.Time, narrow bool) string {
	if quiet := now.Sub(l.moved); quiet >= quietFrom {
		return "nothing for " + short(quiet)
	}
	return l.rate.text(now, l.Total-l.Done, narrow)
}

func join(s string) string {
	if s == "" {
		return ""
	}
	return "  " + strings.TrimSpace(s)
}
