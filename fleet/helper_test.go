package fleet_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/retry"
)

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a simulated platform and one machine that uses it.
type world struct {
	t    testing.TB
	sim  *sim.Sim
	home string
	o    fleet.Options
}

func newWorld(t testing.TB, vms int) *world {
	t.Helper()
	return newWorldOf(t, sim.Config{VMs: vms, Seed: 1, Still: true})
}

func newWorldOf(t testing.TB, c sim.Config) *world {
	t.Helper()
	c.Guest = cmp.Or(c.Guest, simtest.Guest())
	s, err := sim.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	roots, err := certPool(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, sim: s, home: t.TempDir()}
	w.o = fleet.Options{
		Home: w.home, RootCAs: roots, TLSVerify: true, VMGateway: s.Gateway(),
		API: api.Config{BaseURL: s.BaseURL(), APIKey: func(context.Context) (string, error) { return s.APIKey(), nil },
			Timeouts: api.Timeouts{Connect: time.Second, Headers: time.Second, Whole: 2 * time.Second, Action: 2 * time.Second}},
		Retry: retry.Policy{Base: time.Millisecond, Cap: 5 * time.Millisecond, MaxElapsed: 500 * time.Millisecond},
	}
	return w
}

// open is a new process of the same machine.
func (w *world) open(change ...func(*fleet.Options)) *fleet.Fleet {
	w.t.Helper()
	o := w.o
	for _, c := range change {
		c(&o)
	}
	f, err := fleet.Open(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *world) fault(f sim.Fault) {
	w.t.Helper()
	if err := w.sim.SetFault(f); err != nil {
		w.t.Fatal(err)
	}
}

// forget makes the machine forget what it knows of the API's health, as if the
// next probe were due.
func (w *world) forget() {
	w.t.Helper()
	docs, err := filepath.Glob(filepath.Join(w.home, "default", "health-*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, doc := range docs {
		if err := os.Remove(doc); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
	}
}

// later is when the API is surely done with whatever it was sent before.
func later(o *fleet.Options) { o.Now = func() time.Time { return time.Now().Add(10 * time.Minute) } }

func offline(o *fleet.Options) { o.Mode = outage.Offline }

// asError insists that err is an *Error.
func asError(err error, e **problem.Error) {
	if !errors.As(err, e) {
		*e = &problem.Error{What: "not an *Error"}
	}
}
