package retry

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// events is a heap of the moments at which clients act, in virtual time.
type events []event

type event struct {
	at      time.Duration
	client  int
	attempt int
}

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

const (
	herd   = 10_000
	outage = 10 * time.Minute
)

// simulate has every client call at the moment arrival says, and again after each failure when next says, until the
// outage is over. It returns the number of requests in each second.
func simulate(arrival func(client int) time.Duration, next func(client, attempt int, at time.Duration) time.Duration) []int {
	var queue events
	for c := range herd {
		heap.Push(&queue, event{arrival(c), c, 1})
	}
	var perSecond []int
	for queue.Len() > 0 {
		e := heap.Pop(&queue).(event)
		for second := int(e.at / time.Second); second >= len(perSecond); {
			perSecond = append(perSecond, 0)
		}
		perSecond[int(e.at/time.Second)]++
		if e.at < outage {
			heap.Push(&queue, event{e.at + next(e.client, e.attempt, e.at), e.client, e.attempt + 1})
		}
	}
	return perSecond
}

// peakAndSteady compares the busiest second after recovery with the mean rate in the second half of the outage, when
// the load has settled.
func peakAndSteady(perSecond []int) (peak, steady float64) {
	end := int(outage / time.Second)
	for s := end / 2; s < end; s++ {
		steady += float64(perSecond[s]) / float64(end-end/2)
	}
	for _, n := range perSecond[end:] {
		peak = max(peak, float64(n))
	}
	return peak, steady
}

// TestHerdAfterRecovery: all clients wait through a 10-minute outage, in the worst case all noticing it in the same
// second.
func TestHerdAfterRecovery(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after func(at time.Duration) (time.Duration, bool) // what the server asks for
	}{
		{"without Retry-After", func(time.Duration) (time.Duration, bool) { return 0, false }},
		{"Retry-After 5", func(time.Duration) (time.Duration, bool) { return 5 * time.Second, true }},
		{"Retry-After 30", func(time.Duration) (time.Duration, bool) { return 30 * time.Second, true }},
		{"Retry-After 120", func(time.Duration) (time.Duration, bool) { return 2 * time.Minute, true }},
		{"Retry-After date, the same minute for all", func(at time.Duration) (time.Duration, bool) {
			return at.Truncate(time.Minute) + time.Minute - at, true
		}},
	} {
		for _, spread := range []time.Duration{time.Second, time.Minute} {
			t.Run(fmt.Sprintf("%s, noticed within %s", tt.name, spread), func(t *testing.T) {
				r := rand.New(rand.NewPCG(7, uint64(spread)))
				p := Policy{Rand: r.Float64}.withDefaults()
				arrival := func(int) time.Duration { return time.Duration(r.Float64() * float64(spread)) }
				perSecond := simulate(arrival, func(_, attempt int, at time.Duration) time.Duration {
					after, ok := tt.after(at)
					d, _ := p.delay(attempt, Hint{After: after, HasAfter: ok}, 1<<62)
					return d
				})
				peak, steady := peakAndSteady(perSecond)
				t.Logf("peak %.0f/s after recovery, steady %.0f/s: %.2f times", peak, steady, peak/steady)
				if peak > 3*steady {
					t.Errorf("peak %.0f/s is %.2f times the steady %.0f/s", peak, peak/steady, steady)
				}
			})
		}
	}
}

// TestHerdOfMemories is the same for the probes of as many machines, each with an outage memory of its own.
func TestHerdOfMemories(t *testing.T) {
	for _, after := range []time.Duration{0, 20 * time.Second, 2 * time.Minute} {
		t.Run(fmt.Sprintf("Retry-After %s", after), func(t *testing.T) {
			r := rand.New(rand.NewPCG(9, uint64(after)))
			m := &Memory{rand: r.Float64}
			states := make([]State, herd)
			perSecond := simulate(
				func(int) time.Duration { return time.Duration(r.Float64() * float64(5*time.Second)) },
				func(client, _ int, at time.Duration) time.Duration {
					s, now := &states[client], noon().Add(at)
					s.Interval = min(max(2*s.Interval, probeFirst), probeMax)
					m.schedule(s, after, now, true)
					return s.NextProbe.Sub(now)
				})
			peak, steady := peakAndSteady(perSecond)
			t.Logf("peak %.0f/s after recovery, steady %.0f/s: %.2f times", peak, steady, peak/steady)
			if peak > 3*steady {
				t.Errorf("peak %.0f/s is %.2f times the steady %.0f/s", peak, peak/steady, steady)
			}
		})
	}
}

// TestManyRunsOfOneProfile: 200 runs within 60 s of an outage reach the API at most 6 times, and the first run for
// which a probe is due after the recovery is live again.
func TestManyRunsOfOneProfile(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			store := &shared{}
			down, reached := true, 0
			call := func(context.Context) error {
				reached++
				if down {
					return transient()
				}
				return nil
			}
			run := func() (live bool) {
				m := NewMemory(store, MemoryOptions{Rand: r.Float64})
				permit, _ := m.Ask(Scheduled)
				if permit == PermitHold {
					return false
				}
				p := Policy{MaxAttempts: 3, MaxElapsed: 8 * time.Second, Rand: r.Float64}
				if permit == PermitProbe {
					p.MaxAttempts = 1
				}
				attempts := 0
				err := Do(t.Context(), p, true, nil, func(ctx context.Context) error { attempts++; return call(ctx) })
				if err != nil {
					must(t, m.Failed(Failure{Cause: CauseHTTP(503), Calls: attempts}))
					return false
				}
				must(t, m.Succeeded(time.Millisecond))
				return true
			}
			for range 200 {
				before := time.Now()
				run()
				time.Sleep(max(300*time.Millisecond-time.Since(before), 0))
			}
			if reached > 6 {
				t.Errorf("seed %d: the API was reached %d times", seed, reached)
			}
			down = false
			s := store.state()
			time.Sleep(time.Until(s.NextProbe))
			for n := range 2 {
				if !run() {
					t.Errorf("seed %d: run %d after the recovery is not live", seed, n+1)
				}
			}
			if s := store.state(); s.Down() || len(s.Past) != 1 || s.Past[0].Failures != reached-2 {
				t.Errorf("seed %d: %d calls, %+v", seed, reached, s)
			}
		})
	}
}
