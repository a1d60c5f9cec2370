package daemon_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// running is a daemon that works on a world by a clock of its own.
type running struct {
	*fleettest.World
	clock  *stepClock
	mirror string
	stop   func()
}

// run starts a daemon, and waits until it knows the fleet.
func run(t *testing.T, w *fleettest.World, change ...func(*fleet.Options)) *running {
	t.Helper()
	r := &running{World: w, clock: newStepClock(), mirror: filepath.Join(t.TempDir(), "mirror")}
	w.Options.Now, w.Options.Pace = r.clock.Now, r.clock.After
	w.Options.Mirror = daemon.Mirror{Folder: r.mirror}
	r.start(t, change...)
	soon(t, "the fleet", func() bool {
		s := r.status(t)
		return s.Lieutenants["idle"]+s.Lieutenants["working"] == 6
	})
	return r
}

// start starts the daemon, again if it was stopped.
func (r *running) start(t *testing.T, change ...func(*fleet.Options)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	f := r.Open(change...)
	wg.Go(func() {
		if err := f.Daemon.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(r.stop)
	soon(t, "the daemon", func() bool { return r.status(t).Running })
}

func (r *running) status(t *testing.T) daemon.Status {
	t.Helper()
	s, err := r.Open().Daemon.Status(t.Context())
	if err != nil && problem.KindOf(err) != problem.Unexpected { // it has just begun
		t.Fatal(err)
	}
	return s
}

// event is the newest recorded event of a type.
func (r *running) event(t *testing.T, typ daemon.Type) (daemon.Event, bool) {
	t.Helper()
	events, _, err := r.Open().Events.After(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		if e.Type == typ {
			return e, true
		}
	}
	return daemon.Event{}, false
}

func (r *running) has(t *testing.T, typ daemon.Type) func() bool {
	return func() bool { _, has := r.event(t, typ); return has }
}

// home reports whether a VM's workspace is in the mirror as it is.
func (r *running) home(name string) func() bool {
	return func() bool {
		from := filepath.Join(r.Sim.VM(name).Root(), "root", "workspace")
		found := 0
		err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			rel, _ := filepath.Rel(from, path)
			want, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			got, err := os.ReadFile(filepath.Join(r.mirror, name, "workspace", rel))
			if err != nil || string(got) != string(want) {
				return os.ErrNotExist
			}
			found++
			return nil
		})
		return err == nil && found > 0
	}
}

func (r *running) deed(t *testing.T, name, deed string) {
	t.Helper()
	if err := r.Sim.Deed(name, deed); err != nil {
		t.Fatal(err)
	}
}

// The API dies, and lieutenants work on: the outage is noticed within 30 s, what
// they make is home within a minute of their being done, what was queued is sent
// when the API is back, which is noticed within 75 s.
func TestOutageStory(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 7)
	r := run(t, w)
	soon(t, "marketing's work", r.home("marketing"))
	r.deed(t, "chad-dev", "work")
	r.clock.until(t, "chad-dev at work", time.Minute, func() bool { return r.status(t).Lieutenants["working"] > 0 })

	w.Fault(sim.Fault{Kind: "503"})
	if took := r.clock.until(t, "the outage", 2*time.Minute, r.has(t, daemon.APIDown)); took > 30*time.Second {
		t.Errorf("the outage was noticed after %s", took)
	}
	w.Sim.ResetCalls()
	r.deed(t, "chad-dev", "finish")
	if took := r.clock.until(t, "the end of the task", 2*time.Minute, r.has(t, daemon.LieutenantDone)); took > 30*time.Second {
		t.Errorf("that it is done was noticed after %s", took)
	}
	soon(t, "chad-dev's work", r.home("chad-dev")) // while the clock stands still
	soon(t, "what it said", func() bool { return r.said(t, "chad-dev") })
	vm, err := r.Open(fleettest.Offline).Inventory.OneKnown("marketing")
	if err != nil {
		t.Fatal(err)
	}
	if res, err := r.Open().Commits.Commit(t.Context(), vm, commits.Request{Queue: true}); res.Status != commits.StatusQueued {
		t.Fatal(res, err)
	}
	for range 10 * 60 { // ten minutes of it
		r.clock.step()
	}
	if calls := w.Sim.Calls(); len(calls) > 11*6 {
		t.Errorf("%d calls in eleven minutes of an outage", len(calls))
	}
	w.Sim.ClearFaults()
	if took := r.clock.until(t, "the recovery", 3*time.Minute, r.has(t, daemon.APIUp)); took > 75*time.Second {
		t.Errorf("the recovery was noticed after %s", took)
	}
	soon(t, "the commit", r.has(t, daemon.QueueSent))
}

// said reports whether the newest answer of a lieutenant is kept.
func (r *running) said(t *testing.T, name string) bool {
	t.Helper()
	names, err := fleettest.OpenStore(t, r.World).Folder("sealed-answers").Names()
	return err == nil && slices.Contains(names, r.Sim.VM(name).ID())
}

// A VM that is gone leaves its work here, as the last state; one that takes its
// name takes nothing of it away.
func TestMirrorKeepsLastStates(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 7)
	front := fleettest.NewFront(w)
	r := run(t, w)
	soon(t, "marketing's work", r.home("marketing"))
	golden := w.Sim.VM("golden")
	front.Set(nil, fleettest.LeaveOut(t, sim.MarketingID))
	r.clock.until(t, "that it is gone", time.Minute, r.has(t, daemon.VMGone))
	if !r.home("marketing")() {
		t.Fatal("its work is gone with it")
	}
	for range 90 {
		r.clock.step()
	}
	i := slices.IndexFunc(r.status(t).Mirror.VMs, func(v daemon.MirrorVM) bool { return v.VMID == sim.MarketingID })
	if v := r.status(t).Mirror.VMs[i]; !v.LastState || v.GoneAt.IsZero() || v.HomeAt.IsZero() {
		t.Errorf("%+v", v)
	}
	golden.SetLabels(map[string]string{"name": "marketing"})
	r.clock.until(t, "the new name", time.Minute, r.has(t, daemon.VMRenamed))
	var last []string
	soon(t, "the last state", func() bool {
		last, _ = filepath.Glob(filepath.Join(r.mirror, "marketing.last-*-"+sim.MarketingID))
		return len(last) == 1
	})
	brief, err := os.ReadFile(filepath.Join(last[0], "workspace", "brief.md"))
	if want, wantErr := os.ReadFile(filepath.Join(w.Sim.VM(sim.MarketingID).Root(), "root/workspace/brief.md")); err != nil || wantErr != nil || string(brief) != string(want) {
		t.Error(err, wantErr)
	}
	soon(t, "the work of the new one", func() bool {
		return len(entries(filepath.Join(r.mirror, "marketing", "workspace"))) > 0 && len(entries(filepath.Join(r.mirror, "golden"))) == 0
	})
}

func entries(dir string) []os.DirEntry {
	list, _ := os.ReadDir(dir)
	return list
}

// There is one daemon for a profile; the next begins when it has ended, and
// tells nothing twice.
func TestOneDaemon(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	r := run(t, w)
	if err := r.Open().Daemon.Run(t.Context()); problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "already") {
		t.Error(err)
	}
	r.deed(t, "chad-dev", "work")
	r.clock.until(t, "chad-dev at work", time.Minute, func() bool { return r.status(t).Lieutenants["working"] > 0 })
	r.deed(t, "chad-dev", "finish")
	r.clock.until(t, "the end of the task", time.Minute, r.has(t, daemon.LieutenantDone))
	before := told(t, w)
	r.stop()
	if s := r.status(t); s.Running {
		t.Errorf("%+v", s)
	}
	r.start(t)
	for range 120 {
		r.clock.step()
	}
	if after := told(t, w); !slices.Equal(before, after) {
		t.Errorf("told %q, then %q", before, after)
	}
	if lines, err := r.Open().Daemon.Logs(); err != nil || len(lines) != 0 { // only a process with LogTo logs
		t.Error(lines, err)
	}
}
