package retry

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// shared is a Doc as processes share it: updates exclude each other.
type shared struct {
	mu     sync.Mutex
	data   []byte
	broken error
	writes int
}

func (s *shared) Read() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data, s.broken
}

func (s *shared) Update(_ context.Context, fn func(old []byte) ([]byte, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	data, err := fn(s.data)
	if err == nil {
		s.data = data
		s.writes++
	}
	return err
}

func (s *shared) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return decodeState(s.data)
}

func failing() Failure {
	return Failure{Cause: CauseHTTP(503), Detail: "Service unavailable", Calls: 3}
}

// must fails the test on an error of the store.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantPermit(t *testing.T, m *Memory, u Urgency, want Permit) State {
	t.Helper()
	got, s := m.Ask(u)
	if got != want {
		t.Fatalf("%s, want %s; %+v", got, want, s)
	}
	return s
}

func TestOutageFromStartToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shared{}
		a, b := NewMemory(store, MemoryOptions{}), NewMemory(store, MemoryOptions{})
		wantPermit(t, a, Scheduled, PermitCall)
		must(t, a.Succeeded(50*time.Millisecond))
		time.Sleep(time.Minute)
		began := time.Now()
		must(t, a.FailedAttempt(failing()))
		if s := wantPermit(t, b, Scheduled, PermitCall); s.Down() {
			t.Fatal("a failed attempt alone opened an outage")
		}
		time.Sleep(3 * time.Second)
		must(t, a.Failed(failing()))
		s := wantPermit(t, b, Scheduled, PermitHold)
		if !s.Outage.Start.Equal(began) || s.Outage.Failures != 3 || s.Outage.Causes["http_503"] != 3 {
			t.Errorf("outage %+v", s.Outage)
		}
		for n, want := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, time.Minute} {
			s, _ := b.State()
			wait := time.Until(s.NextProbe)
			if wait < want*3/4 || wait > want*5/4 {
				t.Errorf("probe %d in %s, want about %s", n, wait, want)
			}
			time.Sleep(wait - time.Nanosecond)
			wantPermit(t, b, Scheduled, PermitHold)
			time.Sleep(time.Nanosecond)
			wantPermit(t, b, Scheduled, PermitProbe)
			wantPermit(t, a, Scheduled, PermitHold) // b holds the lease
			must(t, b.Failed(Failure{Cause: CauseTimeout}))
		}
		time.Sleep(2 * time.Minute)
		wantPermit(t, a, Scheduled, PermitProbe)
		must(t, a.Succeeded(time.Second))
		s = wantPermit(t, b, Scheduled, PermitCall)
		if len(s.Past) != 1 || s.Past[0].Failures != 7 || s.Past[0].Causes["timeout"] != 4 || !s.Past[0].End.Equal(time.Now()) {
			t.Errorf("past %+v", s.Past)
		}
	})
}

func TestOneProberAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shared{}
		must(t, NewMemory(store, MemoryOptions{}).Failed(failing()))
		for round := range 5 {
			time.Sleep(2 * time.Minute)
			var probes atomic.Int32
			var prober *Memory
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() {
					m := NewMemory(store, MemoryOptions{})
					if p, _ := m.Ask(Scheduled); p == PermitProbe {
						probes.Add(1)
						prober = m
					}
				})
			}
			all.Wait()
			if probes.Load() != 1 {
				t.Fatalf("round %d: %d probers", round, probes.Load())
			}
			switch round % 3 {
			case 0: // dies: its lease must not outlive it for long
				time.Sleep(defaultLease)
				wantPermit(t, NewMemory(store, MemoryOptions{}), Scheduled, PermitProbe)
			case 1: // is interrupted: the next one may probe at once
				must(t, prober.Abandoned())
				wantPermit(t, NewMemory(store, MemoryOptions{}), Scheduled, PermitProbe)
			case 2:
				must(t, prober.Failed(failing()))
				wantPermit(t, NewMemory(store, MemoryOptions{}), Scheduled, PermitHold)
			}
		}
	})
}

func TestUrgentCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shared{}
		m := NewMemory(store, MemoryOptions{})
		must(t, m.Failed(failing()))
		wantPermit(t, m, Now, PermitHold)
		time.Sleep(2 * time.Second)
		wantPermit(t, m, Now, PermitProbe)
		must(t, m.Failed(Failure{Cause: CauseHTTP(503), After: 30 * time.Second}))
		time.Sleep(29 * time.Second)
		wantPermit(t, m, Now, PermitHold) // the server asked not to
		time.Sleep(time.Second)
		wantPermit(t, m, Now, PermitProbe)
	})
}

func TestServerSentWaitInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(&shared{}, MemoryOptions{})
		must(t, m.Failed(Failure{Cause: CauseHTTP(503), After: 24 * time.Hour}))
		start := time.Now()
		s, _ := m.State()
		if s.NotBefore.Sub(start) != 24*time.Hour || s.NextProbe.Before(s.NotBefore) || s.NextProbe.After(s.NotBefore.Add(probeMax)) {
			t.Errorf("not before %s, next probe %s", s.NotBefore.Sub(start), s.NextProbe.Sub(start))
		}
		for range 24 { // never undercut, whoever asks
			wantPermit(t, m, Soon, PermitHold)
			wantPermit(t, m, Now, PermitHold)
			if next := m.mustState(t).NextPoll(time.Now(), true); next.Before(s.NotBefore) {
				t.Fatalf("who waits would ask %s early", s.NotBefore.Sub(next))
			}
			time.Sleep(time.Hour - 1)
		}
		wantPermit(t, m, Now, PermitHold)
		time.Sleep(24 + probeMax + 1)
		wantPermit(t, m, Scheduled, PermitProbe)
	})
}

// A call that is repeated inside one process after the server's wait binds the
// other processes too.
func TestServerSentWaitOfARepeatedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(&shared{}, MemoryOptions{})
		must(t, m.FailedAttempt(Failure{Cause: CauseHTTP(429), After: 5 * time.Second}))
		if s := wantPermit(t, m, Now, PermitHold); s.Down() {
			t.Errorf("one refused attempt is no outage: %+v", s)
		}
		time.Sleep(5 * time.Second)
		wantPermit(t, m, Scheduled, PermitCall)
		must(t, m.FailedAttempt(Failure{Cause: CauseHTTP(429), After: 5 * time.Second}))
		must(t, m.Succeeded(0)) // the answer of a call that was under way
		wantPermit(t, m, Now, PermitCall)
	})
}

func (m *Memory) mustState(t *testing.T) State {
	t.Helper()
	s, err := m.State()
	must(t, err)
	return s
}

func TestLocalTroubleIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(&shared{}, MemoryOptions{})
		must(t, m.Failed(Failure{Cause: CauseDNS, Local: true}))
		s := wantPermit(t, m, Scheduled, PermitHold)
		if s.Down() || s.Local == nil || s.Local.Cause != CauseDNS {
			t.Errorf("%+v", s)
		}
		time.Sleep(localHold)
		wantPermit(t, m, Scheduled, PermitCall)
		must(t, m.Failed(failing())) // an answer: the network is fine
		if s := wantPermit(t, m, Scheduled, PermitHold); !s.Down() || s.Local != nil {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		wantPermit(t, m, Scheduled, PermitProbe)
		must(t, m.Failed(Failure{Cause: CauseNoNetwork, Local: true}))
		if s := wantPermit(t, m, Scheduled, PermitHold); s.Outage.Failures != 3 {
			t.Errorf("local trouble counted: %+v", s.Outage)
		}
		time.Sleep(localHold)
		wantPermit(t, m, Scheduled, PermitProbe)
		must(t, m.Succeeded(0))
		if s := wantPermit(t, m, Scheduled, PermitCall); s.Local != nil || s.Down() || len(s.Past) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestHealthyStateIsRarelyWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shared{}
		m := NewMemory(store, MemoryOptions{})
		for range 600 {
			wantPermit(t, m, Scheduled, PermitCall)
			must(t, m.Succeeded(80*time.Millisecond))
			time.Sleep(time.Second)
		}
		if store.writes > 21 {
			t.Errorf("%d writes in 10 minutes", store.writes)
		}
	})
}

func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shared{}
		m := NewMemory(store, MemoryOptions{})
		must(t, m.Failed(failing()))
		store.broken = fs.ErrPermission
		wantPermit(t, m, Scheduled, PermitCall) // cannot read: must not stand in the way
		if err := m.Failed(failing()); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Failed: %v", err)
		}
		if err := m.Succeeded(0); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Succeeded: %v", err)
		}
		// Readable but not writable: whoever is due probes without a lease, or the outage would never end.
		time.Sleep(time.Minute)
		readOnly := NewMemory(readOnly{store}, MemoryOptions{})
		wantPermit(t, readOnly, Scheduled, PermitProbe)
	})
}

type readOnly struct{ *shared }

func (r readOnly) Read() ([]byte, error)                                    { return r.data, nil }
func (readOnly) Update(context.Context, func([]byte) ([]byte, error)) error { return fs.ErrPermission }

func TestNextPoll(t *testing.T) {
	now := time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	for name, c := range map[string]struct {
		state    State
		begun    bool
		min, max time.Duration
	}{
		"nothing known":             {State{}, false, 7500 * time.Millisecond, 12500 * time.Millisecond},
		"a probe is due sooner":     {State{NextProbe: at(4 * time.Second)}, false, 4 * time.Second, 4 * time.Second},
		"another one probes":        {State{Lease: Lease{Until: at(20 * time.Second)}}, false, 20 * time.Second, 20 * time.Second},
		"the server forbids it":     {State{NotBefore: at(time.Minute)}, true, time.Minute, time.Minute},
		"begun just after a call":   {State{LastCall: now}, true, urgentGap, urgentGap},
		"begun long after a call":   {State{LastCall: at(-time.Hour)}, true, time.Second, time.Second},
		"begun, another one probes": {State{LastCall: now, Lease: Lease{Until: at(5 * time.Second)}}, true, 5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if d := c.state.NextPoll(now, c.begun).Sub(now); d < c.min || d > c.max {
				t.Errorf("after %v, want %v to %v", d, c.min, c.max)
			}
		})
	}
}

// Whatever the hurry, all processes together probe at most six times a minute.
func TestProbesHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(&shared{}, MemoryOptions{})
		must(t, m.Failed(failing()))
		var probes []time.Time
		for range 5 * 60 {
			time.Sleep(time.Second)
			if p, _ := m.Ask(Now); p == PermitProbe {
				probes = append(probes, time.Now())
				must(t, m.Failed(failing()))
			}
		}
		for i := probeMost; i < len(probes); i++ {
			if span := probes[i].Sub(probes[i-probeMost]); span < time.Minute {
				t.Errorf("seven probes within %s", span)
			}
		}
		if n := len(probes); n < 5*probeMost-1 {
			t.Errorf("only %d probes in five minutes of hurry", n)
		}
	})
}
