package retry

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// Figures of the outage memory.
const (
	probeFirst   = 15 * time.Second // first probe after an outage was noticed
	probeMax     = 60 * time.Second // interval to which it doubles
	probeJitter  = 0.25             // intervals are spread by this part either way
	urgentGap    = 2 * time.Second  // even an urgent caller does not ask more often
	soonGap      = 10 * time.Second // nor one who would like to know
	probeMost    = 6                // of all processes together, in probeSpan
	probeSpan    = time.Minute
	localHold    = 10 * time.Second // after trouble of this machine
	writeEvery   = 30 * time.Second // how often "still up" is worth a write
	attemptsLife = 5 * time.Minute  // failures further apart are not one row
	leaseMax     = 5 * time.Minute  // longest lease believed in

	// defaultLease is how long a prober that says nothing is believed to live.
	defaultLease = 30 * time.Second
)

// Permit is what a process may do now.
type Permit int

// The permits.
const (
	PermitCall  Permit = iota // the API is up as far as known: call it, with retries
	PermitProbe               // it is down, and this process alone probes now: one attempt, then report it
	PermitHold                // it is down or out of reach: answer from what is recorded
)

// Urgency is how much somebody needs the API's answer while it is down.
type Urgency int

// The urgencies.
const (
	Scheduled Urgency = iota // what is recorded will do: ask when a probe is due
	Soon                     // somebody is looking: ask some seconds after the last call
	Now                      // nothing recorded can answer
)

// gap is how old the last call must be.
func (u Urgency) gap() time.Duration {
	if u == Soon {
		return soonGap
	}
	return urgentGap
}

func (p Permit) String() string {
	switch p {
	case PermitCall:
		return "call"
	case PermitProbe:
		return "probe"
	case PermitHold:
		return "hold"
	}
	return fmt.Sprintf("Permit(%d)", int(p))
}

// MemoryOptions are the things a Memory takes from its surroundings. The zero value is ready to use.
type MemoryOptions struct {
	Now   func() time.Time // nil = time.Now
	Rand  func() float64   // uniform in [0,1), safe for concurrent use; nil = math/rand/v2
	PID   int              // for the lease; 0 = os.Getpid()
	Lease time.Duration    // must exceed the longest probe; 0 = defaultLease, at most 5 minutes
}

// Memory is the outage memory of one process. It is safe for concurrent use.
type Memory struct {
	doc   Doc
	now   func() time.Time
	rand  func() float64
	owner string
	lease time.Duration
}

// NewMemory returns the memory kept in doc.
func NewMemory(doc Doc, o MemoryOptions) *Memory {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.PID == 0 {
		o.PID = os.Getpid()
	}
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	// Process ids come again, and differ between machines that share a home: a random part makes the owner unique.
	owner := fmt.Sprintf("%d-%08x", o.PID, rand.Uint32())
	return &Memory{doc: doc, now: o.Now, rand: o.Rand, owner: owner, lease: min(o.Lease, leaseMax)}
}

// errUnchanged leaves the store alone.
var errUnchanged = errors.New("nothing to change")

// State returns what is known, without changing anything. If it cannot be read, nothing is known.
func (m *Memory) State() (State, error) {
	s, err := m.load()
	if err != nil || s.Version > stateVersion {
		s = State{Version: s.Version}
	}
	s.distrust(m.now())
	return s, err
}

// Ask says what this process may do now, and what is known. A caller in a hurry may probe before a probe is due,
// as soon as the last call is old enough for its urgency and the server allows it. All processes together probe at
// most six times a minute, whatever their urgency. After PermitCall and PermitProbe the result must be told to Succeeded, Failed or
// Abandoned. A memory that cannot be read never stands in the way of a call.
func (m *Memory) Ask(u Urgency) (Permit, State) {
	s, err := m.State()
	if err != nil {
		return PermitCall, s
	}
	now := m.now()
	if p := s.permit(now, u); p != PermitProbe {
		return p, s
	}
	granted := PermitHold
	err = m.update(func(fresh *State, now time.Time) error {
		granted = fresh.permit(now, u)
		s = *fresh
		if granted != PermitProbe {
			return errUnchanged
		}
		fresh.LastCall = now
		fresh.Probes = append(fresh.recentProbes(now), now)
		fresh.Lease = Lease{Owner: m.owner, Until: now.Add(m.lease)}
		s = *fresh
		return nil
	})
	if err != nil {
		// Nobody can take the lease, so nobody could ever notice the recovery if this process held.
		return PermitProbe, s
	}
	return granted, s
}

// permit is the decision for a state that distrust has seen.
func (s State) permit(now time.Time, u Urgency) Permit {
	hurry := u != Scheduled && !now.Before(s.LastCall.Add(u.gap()))
	if s.Local != nil && now.Before(s.Local.Until) && !hurry {
		return PermitHold
	}
	if now.Before(s.NotBefore) { // the server's wait binds everybody, however urgent
		return PermitHold
	}
	if s.Outage == nil {
		return PermitCall
	}
	if s.Lease.Owner != "" && now.Before(s.Lease.Until) || len(s.recentProbes(now)) >= probeMost {
		return PermitHold
	}
	if hurry || !now.Before(s.NextProbe) {
		return PermitProbe
	}
	return PermitHold
}

// recentProbes are the probes of all processes that count towards the most there may be.
func (s State) recentProbes(now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(s.Probes), func(at time.Time) bool { return now.Sub(at) >= probeSpan })
}

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
		if s.Outage != nil && !s.Outage.excused() {
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
		s.leaveAlone(f.After, now)
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
	s.leaveAlone(after, now)
	width := max(s.Interval, min(after, probeMax))
	if at := s.NotBefore.Add(time.Duration(m.rand() * float64(width))); at.After(s.NextProbe) {
		s.NextProbe = at
	}
}

// leaveAlone notes the wait that the server asked for.
func (s *State) leaveAlone(after time.Duration, now time.Time) {
	if at := now.Add(min(after, maxServerWait)); after > 0 && at.After(s.NotBefore) {
		s.NotBefore = at
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

// pollInterval is how often somebody who only waits for the API asks. It
// does not grow: a person waits. One process of a profile asks at a time.
const pollInterval = 10 * time.Second

// NextPoll is when a process that waits for the API should ask again: at
// the next probe or after a jittered interval, whichever is sooner, but never
// while another one probes or before the server allows it. One that has just
// begun, and has not asked yet, may ask soon after the last call of anybody.
func (s State) NextPoll(now time.Time, begun bool) time.Time {
	spread := 1 - probeJitter + 2*probeJitter*rand.Float64()
	next := now.Add(time.Duration(float64(pollInterval) * spread))
	if s.NextProbe.After(now) && s.NextProbe.Before(next) {
		next = s.NextProbe
	}
	if begun {
		next = s.LastCall.Add(urgentGap)
	}
	for _, t := range []time.Time{s.NotBefore, s.Lease.Until, now.Add(time.Second)} {
		if t.After(next) {
			next = t
		}
	}
	return next
}
