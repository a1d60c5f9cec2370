package fleet_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// Where only a deadline ends a call it is a short one, so that a hanging API is
// found out in a moment; faultWhole has room for connecting on a busy machine.
// One piece of work makes a handful of calls; the bound only catches work without
// end, soon is less than a server may ask for.
const (
	faultCall  = 400 * time.Millisecond
	faultWhole = 3 * time.Second
	faultRetry = 150 * time.Millisecond
	faultSoon  = 15 * time.Second
	faultBound = time.Minute
)

// Whatever the API does, every command ends in time as promised, and nothing
// that was recorded is lost.
func TestFaultMatrix(t *testing.T) {
	table := faultTable()
	if len(table) < 30 {
		t.Fatalf("%d faults, want at least 30", len(table))
	}
	var group errgroup.Group
	group.SetLimit(4) // they wait a lot
	for n, c := range table {
		if testing.Short() && n%3 > 0 {
			continue
		}
		group.Go(func() error {
			t.Run(c.name, func(t *testing.T) { runFault(t, c) })
			return nil
		})
	}
	_ = group.Wait()
}

func runFault(t *testing.T, c faultCase) {
	c.sim.VMs, c.sim.Seed, c.sim.Still = 6, 1, true
	w := fleettest.NewOf(t, c.sim)
	if c.sim.APITLS {
		w.Options.API.RootCAs = w.Options.RootCAs
	}
	if c.prepare != nil {
		c.prepare(t, w)
	}
	fleettest.Record(t, w)
	good := w.Options.API
	w.Options.API.Timeouts, w.Options.Retry.MaxElapsed = c.deadlines, faultBound
	if c.want.source == outage.FromCache { // else a busy machine must not make it fail
		w.Options.Retry.MaxElapsed = faultRetry
	}
	c.strike(t, w)
	m := &matrix{t: t, c: c, world: w}
	var all sync.WaitGroup
	homes := map[string]string{}
	for name, work := range m.works() {
		home := filepath.Join(t.TempDir(), "home")
		copyTree(t, w.Home, home)
		homes[name] = home
		if c.alone {
			m.run(name, home, work)
			continue
		}
		all.Go(func() { m.run(name, home, work) })
	}
	all.Wait()
	w.Sim.ClearFaults()
	w.Options.API = good
	m.afterwards(homes)
}

// matrix is one row of the table at work.
type matrix struct {
	t     *testing.T
	c     faultCase
	world *fleettest.World
}

// work is one command. touches tells that it logs in to VMs, so that records
// may tell of the login afterwards.
type work struct {
	do      func(f *fleet.Fleet) error
	want    problem.Kind
	touches bool
}

func (m *matrix) works() map[string]work {
	marketing := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	keyless := inventory.VM{ID: m.world.Sim.VM(fleettest.Missing).ID(), Name: fleettest.Missing}
	sync := m.c.want.key
	if m.c.want.list != "" {
		sync = m.c.want.list
	}
	return map[string]work{
		"vms":         {do: m.list, want: m.c.want.list},
		"ssh":         {do: func(f *fleet.Fleet) error { return m.connect(f, marketing) }, touches: true},
		"ssh, no key": {do: func(f *fleet.Fleet) error { return m.connect(f, keyless) }, want: m.c.want.key, touches: true},
		"pull":        {do: func(f *fleet.Fleet) error { return m.pull(f, marketing) }, touches: true},
		"commit":      {do: func(f *fleet.Fleet) error { return m.commit(f, marketing, false) }, want: m.c.want.commit},
		"commit --queue": {do: func(f *fleet.Fleet) error { return m.commit(f, marketing, true) },
			want: queued(m.c.want.commit)},
		"keys sync": {want: sync, do: func(f *fleet.Fleet) error {
			_, err := f.Sync(m.t.Context(), fleet.SyncOptions{})
			return err
		}, touches: true},
	}
}

// queued is what --queue makes of the kind of a commit: nothing is given up
// because the API is away.
func queued(k problem.Kind) problem.Kind {
	if k == problem.Unavailable {
		return problem.Queued
	}
	return k
}

func (m *matrix) list(f *fleet.Fleet) error {
	list, err := f.List(m.t.Context(), fleet.ListOptions{})
	if err != nil {
		return err
	}
	if want := m.c.want.source; want != either && list.Source != want || len(list.VMs) != 6 {
		m.t.Errorf("vms: %d VMs from %s, want 6 from %s", len(list.VMs), list.Source, want)
	}
	if (list.Source == outage.FromCache) != (list.Outage != nil) {
		m.t.Errorf("vms: source %s with outage %v", list.Source, list.Outage)
	}
	if list.Source == outage.FromCache && list.AsOf.IsZero() {
		m.t.Error("vms: the cache's answer has no age")
	}
	if list.Unsaved != nil {
		m.t.Errorf("vms: not recorded: %v", list.Unsaved)
	}
	if e := list.Outage; e != nil && m.c.want.local != (e.Origin == problem.OriginLocal) {
		m.t.Errorf("vms: origin %s of %v", e.Origin, e)
	}
	return nil
}

func (m *matrix) connect(f *fleet.Fleet, vm inventory.VM) error {
	var conn *sshconn.Conn
	conn, err := f.Access.Connect(m.t.Context(), vm, access.How{})
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Exec(m.t.Context(), "true", nil, nil, nil)
}

func (m *matrix) pull(f *fleet.Fleet, vm inventory.VM) error {
	dest := m.t.TempDir()
	_, err := f.Remote.Pull(m.t.Context(), remote.PullRequest{Dest: dest, Items: []remote.PullItem{{VM: vm, Paths: []string{"/root/workspace/brief.md"}}}})
	if data, readErr := os.ReadFile(filepath.Join(dest, "brief.md")); err == nil && (readErr != nil || !strings.Contains(string(data), "Spring campaign")) {
		m.t.Errorf("pull: got %q, %v", data, readErr)
	}
	return err
}

func (m *matrix) commit(f *fleet.Fleet, vm inventory.VM, queue bool) error {
	r, err := f.Commits.Commit(m.t.Context(), vm, commits.Request{Queue: queue})
	items, queueErr := f.Commits.Queue()
	if queueErr != nil {
		m.t.Errorf("commit: %v", queueErr)
	}
	waits := len(items) == 1 && items[0].CommitID == r.CommitID && items[0].VMID == vm.ID
	if waits != (problem.KindOf(err) == problem.Queued) || len(items) > 1 {
		m.t.Errorf("commit: %s (%v) with %d intents in the queue", r.Status, err, len(items))
	}
	if (r.Status == commits.StatusCommitted) != (err == nil) {
		m.t.Errorf("commit: status %s with error %v", r.Status, err)
	}
	return err
}

// run does one piece of work on a copy of the cache.
func (m *matrix) run(name, home string, w work) {
	before := snapshot(m.t, home)
	o := m.world.Options
	o.Home = home
	f, err := fleet.Open(o)
	if err != nil {
		m.t.Errorf("%s: %v", name, err)
		return
	}
	began := time.Now()
	err = w.do(f)
	took := time.Since(began)
	if kind := problem.KindOf(err); kind != w.want && w.want != either {
		m.t.Errorf("%s: got kind %q (%v), want %q", name, kind, err, w.want)
	}
	if took > faultBound || m.c.soon && took > faultSoon {
		m.t.Errorf("%s took %s", name, took)
	}
	var e *problem.Error
	if err != nil && (!errors.As(err, &e) || e.What == "" || e.Why == "") {
		m.t.Errorf("%s: the error does not say what and why: %#v", name, err)
	}
	before.compare(m.t, name, home, w.touches || m.c.want.source != outage.FromCache)
}

// afterwards the API is back: every key still opens its VM without it, and
// each commit in a queue becomes exactly one snapshot.
func (m *matrix) afterwards(homes map[string]string) {
	for name, home := range homes {
		w := *m.world
		w.Home, w.Options.Home = home, home
		w.Forget()
		queue, err := w.Open().Commits.Queue()
		if err != nil {
			m.t.Errorf("%s: %v", name, err)
		}
		results, err := w.Open(fleettest.Later).Commits.RunQueue(m.t.Context())
		if err != nil || len(results) != len(queue) {
			for _, r := range results { // one that was not to be queued may turn out to be lost
				if r.Status != commits.StatusFailed || name != "commit" {
					m.t.Errorf("%s: queue run: %s, %v", name, r.Status, err)
				}
			}
		}
		for _, r := range results {
			taken := 0
			for _, c := range m.world.Sim.Commits() {
				if c.ID == r.CommitID && c.VM == r.VMID {
					taken++
				}
			}
			if want := map[string]int{commits.StatusCommitted: 1}[r.Status]; taken != want {
				m.t.Errorf("%s: %d snapshots of a commit that is %s", name, taken, r.Status)
			}
		}
	}
	for _, c := range m.world.Sim.Calls() {
		if c.Trap && c.AnyKey {
			m.t.Errorf("the API key went to another host: %s %s", c.Method, c.Path)
		}
	}
	w := *m.world
	w.Home, w.Options.Home = homes["keys sync"], homes["keys sync"]
	w.Forget()
	if r, err := w.Open().Sync(m.t.Context(), fleet.SyncOptions{}); err != nil {
		m.t.Errorf("keys sync afterwards: %+v, %v", r, err)
	}
	if results, err := w.Open().Drill(m.t.Context(), fleet.DrillOptions{Selection: inventory.Selection{All: true}}); err != nil || len(results) != 6 {
		m.t.Errorf("drill afterwards: %d VMs, %v: %+v", len(results), err, results)
	}
}

// files is what a machine has recorded, without locks and the health of the
// API.
type files map[string][]byte

func snapshot(t *testing.T, home string) files {
	out := files{}
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(home, path)
		first := strings.Split(filepath.ToSlash(rel), "/")
		if err != nil || d.IsDir() || len(first) < 2 || first[1] == "locks" || first[1] == "pending" || first[1] == "queue" ||
			strings.HasPrefix(first[1], "health-") {
			return err
		}
		out[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return out
}

// compare insists that nothing recorded is lost or, unless the work may add to
// the records, changed. Keys never change.
func (b files) compare(t *testing.T, name, home string, mayAdd bool) {
	now := snapshot(t, home)
	for path, data := range b {
		free := mayAdd && filepath.Base(path) != "id"
		switch got, ok := now[path]; {
		case !ok:
			t.Errorf("%s: %s is gone", name, path)
		case !free && !bytes.Equal(got, data):
			t.Errorf("%s: %s was changed from\n%s\nto\n%s", name, path, hidden(path, data), hidden(path, got))
		}
	}
	if !mayAdd && len(now) != len(b) {
		t.Errorf("%s: %d files became %d", name, len(b), len(now))
	}
}

func hidden(path string, data []byte) string {
	if filepath.Base(path) == "id" {
		return "(a key)"
	}
	return string(data)
}

// copyTree copies a home with its modes, which the keystore insists on.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
