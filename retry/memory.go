package retry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// Figures of the outage memory.
const (
	probeFirst   = 15 * time.Second // first probe after an outage was noticed
	probeMax     = 60 * time.Second // interval to which it doubles
	probeJitter  = 0.25             // intervals are spread by this part either way
	urgentGap    = 2 * time.Second  // even an urgent caller does not ask more often
	localHold    = 10 * time.Second // after trouble of this machine
	writeEvery   = 30 * time.Second // how often "still up" is worth a write
	attemptsLife = 5 * time.Minute  // failures further apart are not one row
	leaseMax     = 5 * time.Minute  // longest lease believed in

	// DefaultLease is how long a prober that says nothing is believed to live.
	DefaultLease = 30 * time.Second
)

// Permit is what a process may do now.
type Permit int

// The permits.
const (
	PermitCall  Permit = iota // the API is up as far as known: call it, with retries
	PermitProbe               // it is down, and this process alone probes now: one attempt, then report it
	PermitHold                // it is down or out of reach: answer from what is recorded
)

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
	Lease time.Duration    // must exceed the longest probe; 0 = DefaultLease, at most 5 minutes
}

// Memory is the outage memory of one process. It is safe for concurrent use.
type Memory struct {
	store Store
	now   func() time.Time
	rand  func() float64
	owner string
	lease time.Duration
}

// NewMemory returns the memory kept in store.
func NewMemory(store Store, o MemoryOptions) *Memory {
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
		o.Lease = DefaultLease
	}
	// Process ids come again, and differ between machines that share a home: a random part makes the owner unique.
	owner := fmt.Sprintf("%d-%08x", o.PID, rand.Uint32())
	return &Memory{store: store, now: o.Now, rand: o.Rand, owner: owner, lease: min(o.Lease, leaseMax)}
}

// errUnchanged leaves the store alone.
var errUnchanged = errors.New("nothing to change")

// State returns what is known, without changing anything. If it cannot be read, nothing is known.
func (m *Memory) State() (State, error) {
	s, err := m.store.Load()
	if err != nil || s.Version > StateVersion {
		s = State{Version: s.Version}
	}
	s.distrust(m.now())
	return s, err
}

// Ask says what this process may do now, and what is known. An urgent caller (somebody is waiting for the API to
// return) may probe as soon as the last call is two seconds old and the server allows it; one that asks again and
// again paces itself, as Do does. After PermitCall and PermitProbe the result must be told to Succeeded, Failed or
// Abandoned. A memory that cannot be read never stands in the way of a call.
func (m *Memory) Ask(urgent bool) (Permit, State) {
	s, err := m.State()
	if err != nil {
		return PermitCall, s
	}
	now := m.now()
	if p := s.permit(now, urgent); p != PermitProbe {
		return p, s
	}
	granted := PermitHold
	err = m.update(func(fresh *State, now time.Time) error {
		granted = fresh.permit(now, urgent)
		s = *fresh
		if granted != PermitProbe {
			return errUnchanged
		}
		fresh.LastCall = now
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
func (s State) permit(now time.Time, urgent bool) Permit {
	rested := !now.Before(s.LastCall.Add(urgentGap))
	if s.Local != nil && now.Before(s.Local.Until) && !(urgent && rested) {
		return PermitHold
	}
	if s.Outage == nil {
		return PermitCall
	}
	if s.Lease.Owner != "" && now.Before(s.Lease.Until) || now.Before(s.NotBefore) {
		return PermitHold
	}
	if !now.Before(s.NextProbe) || urgent && rested {
		return PermitProbe
	}
	return PermitHold
}

// update changes the stored state, after dropping what cannot be true. It does not rely on the store to hand back
// fn's error.
func (m *Memory) update(fn func(s *State, now time.Time) error) error {
	var inner error
	err := m.store.Update(func(s *State) error {
		now := m.now()
		if s.Version > StateVersion {
			inner = ErrNewerState
			return inner
		}
		s.Version = StateVersion
		s.distrust(now)
		inner = fn(s, now)
		return inner
	})
	switch {
	case errors.Is(inner, errUnchanged):
		return nil
	case inner != nil:
		return inner
	}
	return err
}
