package fleettest

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Clock is a time that tests move by hand.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock is a Clock that shows the minute in which the outage began.
func NewClock() *Clock { return ClockAt(time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)) }

// ClockAt is a Clock that shows t.
func ClockAt(t time.Time) *Clock { return &Clock{now: t} }

// Now is what it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves it.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// World is a simulated platform and one machine that uses it.
type World struct {
	T       testing.TB
	Sim     *sim.Sim
	Home    string
	Options fleet.Options
}

// New is a World of so many VMs that do nothing by themselves.
func New(t testing.TB, vms int) *World {
	t.Helper()
	return NewOf(t, sim.Config{VMs: vms, Seed: 1, Still: true})
}

// NewOf is a World as the simulator's configuration says.
func NewOf(t testing.TB, c sim.Config) *World {
	t.Helper()
	c.Guest = cmp.Or(c.Guest, simtest.Guest())
	s, err := sim.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if c.Guest == sim.GuestSSHD {
		if err := s.Boot(); err != nil {
			t.Fatal(err)
		}
	}
	roots, err := CertPool(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	w := &World{T: t, Sim: s, Home: t.TempDir()}
	w.Options = fleet.Options{
		Home: w.Home, RootCAs: roots, TLSVerify: true, VMGateway: s.Gateway(),
		API: api.Config{BaseURL: s.BaseURL(), APIKey: func(context.Context) (string, error) { return s.APIKey(), nil }},
		// Attempts are counted, so that a busy machine makes as many of them.
		Probe: time.Minute, // nor is an answer late there
		Retry: retry.Policy{Base: time.Millisecond, Cap: 5 * time.Millisecond, MaxAttempts: 5, MaxElapsed: 20 * time.Second},
	}
	return w
}

// Open is a new process of the same machine.
func (w *World) Open(change ...func(*fleet.Options)) *fleet.Fleet {
	w.T.Helper()
	o := w.Options
	for _, c := range change {
		c(&o)
	}
	f, err := fleet.Open(o)
	if err != nil {
		w.T.Fatal(err)
	}
	return f
}

// Fault makes something go wrong.
func (w *World) Fault(f sim.Fault) {
	w.T.Helper()
	if err := w.Sim.SetFault(f); err != nil {
		w.T.Fatal(err)
	}
}

// Forget makes the machine forget what it knows of the API's health, as if the
// next probe were due.
func (w *World) Forget() {
	w.T.Helper()
	docs, err := filepath.Glob(filepath.Join(w.Home, "default", "health-*"))
	if err != nil {
		w.T.Fatal(err)
	}
	for _, doc := range docs {
		if err := os.Remove(doc); err != nil && !os.IsNotExist(err) {
			w.T.Fatal(err)
		}
	}
}

// Later is when the API is surely done with whatever it was sent before.
func Later(o *fleet.Options) { o.Now = func() time.Time { return time.Now().Add(10 * time.Minute) } }

// Offline opens a fleet that asks the API nothing.
func Offline(o *fleet.Options) { o.Mode = outage.Offline }

// AsError insists that err is an *Error.
func AsError(err error, e **problem.Error) {
	if !errors.As(err, e) {
		*e = &problem.Error{What: "not an *Error"}
	}
}

// CertPool reads certificate authorities.
func CertPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool, err
}

// Heard collects warnings.
func Heard(into *[]string) func(*fleet.Options) {
	return func(o *fleet.Options) { o.Warn = func(s string) { *into = append(*into, s) } }
}

// Unsavable keeps everything from being recorded, as a full disk does, for
// root too: no lock can be made.
func Unsavable(t *testing.T, w *World) {
	t.Helper()
	dir := filepath.Join(w.Home, "default")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "locks"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// LeaveOut makes the listing leave out a VM.
func LeaveOut(t *testing.T, id string) func(*http.Request, *Reply) {
	return func(r *http.Request, a *Reply) {
		if !strings.HasSuffix(r.URL.Path, "/vms") {
			return
		}
		var vms []map[string]any
		if err := json.Unmarshal(a.Body, &vms); err != nil {
			t.Error(err)
		}
		vms = slices.DeleteFunc(vms, func(vm map[string]any) bool { return vm["vm_id"] == id })
		a.Body, _ = json.Marshal(vms)
		a.Header.Del("Content-Length")
	}
}

// OpenStore opens the machine's keystore.
func OpenStore(t *testing.T, w *World) *keystore.Store {
	t.Helper()
	store, err := keystore.Open(filepath.Join(w.Home, "default"), keystore.Options{ParseKey: sshconn.ParseKey})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// RecordAll makes the machine know the fleet and its keys.
func RecordAll(t *testing.T, w *World) {
	t.Helper()
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Grep returns the lines of text that hold all the words.
func Grep(text string, words ...string) string {
	var out []string
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.HasPrefix(line, w) {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "")
}

// Missing is the name of the VM whose key Record leaves out.
const Missing = "infra-ui"

// Record makes the machine know the fleet, with every key proved but one that
// is missing.
func Record(t *testing.T, w *World) {
	t.Helper()
	if _, err := w.Open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open().Drill(t.Context(), fleet.DrillOptions{Selection: inventory.Selection{All: true}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open().Keys.Remove([]string{Missing}, true); err != nil {
		t.Fatal(err)
	}
}
