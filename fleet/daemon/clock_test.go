package daemon_test

import (
	"sync"
	"testing"
	"time"
)

// stepClock is a time that a test moves, second by second. Each step waits until
// what it woke is asleep again, so that a busy machine changes nothing.
type stepClock struct {
	mu      sync.Mutex
	now     time.Time
	pending []alarm
	armed   int
}

type alarm struct {
	at time.Time
	c  chan time.Time
}

func newStepClock() *stepClock {
	return &stepClock{now: time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)}
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed++
	ch := make(chan time.Time, 1)
	c.pending = append(c.pending, alarm{c.now.Add(d), ch})
	return ch
}

// step moves on by a second.
func (c *stepClock) step() {
	c.mu.Lock()
	c.now = c.now.Add(time.Second)
	var later []alarm
	fired, armed := 0, c.armed
	for _, a := range c.pending {
		if a.at.After(c.now) {
			later = append(later, a)
			continue
		}
		a.c <- c.now
		fired++
	}
	c.pending = later
	c.mu.Unlock()
	for wait := 0; wait < 2000; wait++ { // who ends instead is not waited for for ever
		c.mu.Lock()
		asleep := c.armed >= armed+fired
		c.mu.Unlock()
		if asleep {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// until moves on until cond holds, and returns how long that took by this clock.
func (c *stepClock) until(t *testing.T, what string, most time.Duration, cond func() bool) time.Duration {
	t.Helper()
	began := c.Now()
	for !cond() {
		if c.Now().Sub(began) > most {
			t.Fatalf("%s has not come within %s", what, most)
		}
		c.step()
	}
	return c.Now().Sub(began)
}

// soon waits until cond holds while this clock stands still.
func soon(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + " has not come")
		}
	}
}
