package retry

import (
	"math"
	"slices"
	"time"
)

// Succeeded tells that the API answered; a 401 or a 404 is an answer too. It closes an outage for all processes.
// While nothing is wrong it writes at most every 30 s. The error is the store's; callers treat it as a warning.
func (m *Memory) Succeeded(latency time.Duration) error {
	s, err := m.State()
	if err == nil && s.routine(m.now(), latency) {
		return nil
	}
	return m.update(func(s *State, now time.Time) error {
		if s.routine(now, latency) { // another process was faster
			return errUnchanged
		}
		if s.Outage != nil {
			over := *s.Outage
			over.End = now
			s.Past = append(slices.Clip(s.Past), over)
			s.bound()
		}
		s.Latency.add(latency)
		s.LastCall, s.LastAnswer = now, now
		s.Outage, s.Local = nil, nil
		s.NextProbe, s.NotBefore, s.Interval, s.Lease = time.Time{}, time.Time{}, 0, Lease{}
		return nil
	})
}

// routine reports whether one more success is no news.
func (s State) routine(now time.Time, latency time.Duration) bool {
	failed := s.FailedAttempts != nil && s.LastAnswer.Before(s.FailedAttempts.Last)
	return s.Outage == nil && s.Local == nil && !failed &&
		now.Sub(s.LastAnswer) < writeEvery && !s.Latency.unusual(latency)
}

// Abandoned tells that a permitted call was given up without a result, for instance because the user interrupted it.
// It frees the lease, so that the next process can probe.
func (m *Memory) Abandoned() error {
	if s, err := m.State(); err == nil && s.Lease.Owner != m.owner {
		return nil
	}
	return m.update(func(s *State, _ time.Time) error {
		if s.Lease.Owner != m.owner {
			return errUnchanged
		}
		s.Lease = Lease{}
		return nil
	})
}

// FailedAttempt tells of a failed attempt that will be repeated. It opens no outage, but is the first sign of one.
func (m *Memory) FailedAttempt(f Failure) error {
	return m.update(func(s *State, now time.Time) error {
		if f.Local || s.Outage != nil {
			return errUnchanged
		}
		s.noteAttempt(f, now)
		return nil
	})
}

// Failed tells that a call failed for good after f.Calls attempts. Unless f is local, it opens an outage or counts
// towards the present one, and if this process was the prober, sets the time of the next probe. The error is the
// store's; callers treat it as a warning.
func (m *Memory) Failed(f Failure) error {
	return m.update(func(s *State, now time.Time) error {
		prober := s.Lease.Owner == m.owner
		if prober {
			s.Lease = Lease{}
		}
		s.LastCall = now
		if f.Local {
			s.Local = &LocalTrouble{Trouble: extend(localRow(s.Local), f, now), Until: now.Add(localHold)}
			return nil
		}
		s.Local = nil
		s.LastError = new(extend(nil, f, now))
		opened := s.Outage == nil
		s.count(f, now)
		switch {
		case opened:
			s.Interval = probeFirst
		case prober:
			s.Interval = min(max(2*s.Interval, probeFirst), probeMax)
		}
		m.schedule(s, f.After, now, opened || prober)
		return nil
	})
}

// schedule sets the next probe. The server's wish is taken from anybody, the doubled interval only from the prober.
func (m *Memory) schedule(s *State, after time.Duration, now time.Time, own bool) {
	if own {
		s.NextProbe = now.Add(m.spread(s.Interval))
	}
	if after <= 0 {
		return
	}
	after = min(after, MaxServerWait)
	if at := now.Add(after); at.After(s.NotBefore) {
		s.NotBefore = at
	}
	width := max(s.Interval, min(after, probeMax))
	if at := s.NotBefore.Add(time.Duration(m.rand() * float64(width))); at.After(s.NextProbe) {
		s.NextProbe = at
	}
}

func (m *Memory) spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - probeJitter + 2*probeJitter*m.rand()))
}

// count adds f to the present outage, opening one that starts with the first failure of the row, if need be.
func (s *State) count(f Failure, now time.Time) {
	if s.Outage == nil {
		s.Outage = &Outage{Start: now}
		if row := s.FailedAttempts; row != nil && now.Sub(row.Last) < attemptsLife && !row.First.Before(s.LastAnswer) {
			s.Outage.Start = row.First
		}
		s.FailedAttempts = nil
	}
	o := *s.Outage
	calls := max(f.Calls, 1)
	o.Failures = add(o.Failures, calls)
	causes := make(map[string]int, len(o.Causes)+1)
	for k, n := range o.Causes {
		causes[k] = n
	}
	key := cut(string(f.Cause))
	if _, known := causes[key]; !known && len(causes) >= maxCauses || key == "" {
		key = string(CauseOther)
	}
	causes[key] = add(causes[key], calls)
	o.Causes = causes
	s.Outage = &o
}

func (s *State) noteAttempt(f Failure, now time.Time) {
	row := s.FailedAttempts
	if row != nil && now.Sub(row.Last) >= attemptsLife {
		row = nil
	}
	next := extend(row, f, now)
	if row != nil && s.LastAnswer.After(row.Last) { // it worked in between: an outage would begin now
		next.First = now
	}
	s.FailedAttempts = &next
	s.LastError = new(extend(nil, f, now))
}

func localRow(l *LocalTrouble) *Trouble {
	if l == nil {
		return nil
	}
	return &l.Trouble
}

// extend makes the next entry of a row of failures.
func extend(row *Trouble, f Failure, now time.Time) Trouble {
	t := Trouble{Cause: f.Cause, Detail: cut(f.Detail), First: now, Last: now, Calls: max(f.Calls, 1)}
	if row != nil {
		t.First, t.Calls = row.First, add(row.Calls, t.Calls)
	}
	return t
}

// add adds without overflow.
func add(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}
