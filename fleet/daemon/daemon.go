package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Config is what a Daemon is made of. All fields are required but those of Mirror.
type Config struct {
	Options
	Events  *Events
	Remote  *remote.Remote
	Commits *commits.Commits
	Profile string
	Runtime string // $XDG_RUNTIME_DIR, "" = none
	Mirror  Mirror
	Log     *slog.Logger
	After   func(time.Duration) <-chan time.Time // the clock of the loops

	// Drill logs in to a VM with what is recorded alone. NoteHome is told what
	// was brought home, and of which VMs.
	Drill    func(context.Context, inventory.VM) error
	NoteHome func(context.Context, remote.PullRequest, []remote.PullResult)
}

// Daemon keeps what is recorded of a fleet fresh, and its work home.
type Daemon struct{ o Config }

// NewDaemon makes a Daemon. It does nothing yet.
func NewDaemon(o Config) *Daemon { return &Daemon{o} }

// stopWithin is how long a stop waits for what is at work.
const stopWithin = 5 * time.Second

// Run works until ctx ends, and returns nil then. There is one daemon for each
// profile: the error is of kind Refused where another one works.
func (d *Daemon) Run(ctx context.Context) error {
	release, err := d.o.Store.Lock(ctx, "daemon", false)
	if keystore.KindOf(err) == keystore.KindLocked {
		return &problem.Error{Kind: problem.Refused, What: "the daemon was not started", Why: "one works for the profile " + d.o.Profile + " already", Origin: problem.OriginLocal,
			Next: "see what it does: vers-fleet daemon status"}
	}
	if err != nil {
		return problem.OfStorage("start the daemon", err)
	}
	defer release()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := newWork(ctx, d)
	served, err := w.serve(ctx)
	if err != nil {
		d.o.Log.Warn("nobody can ask the daemon how it is", "error", err)
		served = func() {}
	}
	d.o.Log.Info("started", "profile", d.o.Profile, "pid", os.Getpid())
	done := make(chan struct{})
	go func() {
		w.run(ctx)
		close(done)
	}()
	<-ctx.Done()
	served()
	select {
	case <-done:
	case <-time.After(stopWithin):
		d.o.Log.Warn("stopped without waiting any longer for what is at work")
	}
	d.o.Log.Info("stopped")
	return nil
}

// work is a Daemon at work.
type work struct {
	*Daemon
	began     time.Time
	inventory *loop
	drill     *loop
	queue     *loop
	keeping   *loop
	mirror    *mirror
	followers *followers

	mu      sync.Mutex
	vms     []inventory.VM // of the last listing
	down    bool           // the API did not answer it
	drilled map[string]time.Time
	lost    map[string]string // VMs that could not be reached, and why
}

// The pace of the loops and the deadlines of their turns. An outage is noticed
// within 30 s, and each VM is logged in to once an hour.
const (
	inventoryEvery    = 28 * time.Second
	inventoryDeadline = 2 * time.Minute
	drillEvery        = time.Minute
	drillDeadline     = 5 * time.Minute
	drillAge          = time.Hour
	drillsAtOnce      = 2
	queueEvery        = time.Minute
	queueDeadline     = 10 * time.Minute
	keepEvery         = time.Minute
	keepDeadline      = time.Minute
)

func newWork(ctx context.Context, d *Daemon) *work {
	w := &work{Daemon: d, began: d.o.Now().UTC(), drilled: map[string]time.Time{}, lost: map[string]string{}}
	w.followers = &followers{w: w, ctx: ctx, at: map[string]*follower{}, places: make(chan struct{}, lookJobs)}
	w.inventory = newLoop("inventory", inventoryEvery, inventoryDeadline, w.list)
	w.drill = newLoop("drill", drillEvery, drillDeadline, w.drillSome)
	w.queue = newLoop("queue", queueEvery, queueDeadline, w.runQueue)
	w.mirror = newMirror(w)
	w.keeping = newLoop("mirror", keepEvery, keepDeadline, w.mirror.keepUp)
	return w
}

// loops are all there are.
func (w *work) loops() []*loop {
	all := []*loop{w.inventory, w.drill, w.queue}
	if w.o.Mirror.Folder != "" {
		all = append(all, w.keeping)
	}
	return all
}

func (w *work) run(ctx context.Context) {
	var wg sync.WaitGroup
	if vms, err := w.living(); err == nil {
		w.saw(vms)
	}
	for _, l := range w.loops() {
		wg.Go(func() { l.run(ctx, w.Daemon) })
	}
	if w.o.Mirror.Folder != "" {
		wg.Go(func() { w.mirror.run(ctx) })
	}
	wg.Wait()
	w.followers.wait()
}

// living are the recorded VMs that are not gone.
func (w *work) living() ([]inventory.VM, error) {
	vms, err := w.o.Inventory.Known()
	if err == nil {
		err = w.o.Inventory.ReadRecords(vms)
	}
	return slices.DeleteFunc(vms, func(vm inventory.VM) bool { return !vm.GoneAt.IsZero() }), err
}

// saw takes over a list of VMs.
func (w *work) saw(vms []inventory.VM) {
	w.mu.Lock()
	alike := slices.EqualFunc(w.vms, vms, func(a, b inventory.VM) bool {
		return a.ID == b.ID && a.Name == b.Name && a.State == b.State && a.Key.Recorded == b.Key.Recorded
	})
	w.vms = vms
	w.mu.Unlock()
	w.followers.follow(vms)
	if !alike {
		w.mirror.wake("")
	}
}

func (w *work) fleet() []inventory.VM {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.vms
}

// list records the VMs, their keys and their host keys, and tells what has
// changed. While the API is down it is asked often enough that its return is
// noticed within a minute; the outage memory holds the budget of all processes.
func (w *work) list(ctx context.Context) error {
	list, err := w.o.List(ctx, inventory.ListOptions{Urgency: outage.Soon})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	events, noteErr := w.o.Events.ObserveFleet(ctx, list)
	w.tell(events)
	if err == nil {
		w.saw(list.VMs)
		err = list.Unsaved
	}
	answered := err == nil && list.Source == outage.FromAPI
	w.mu.Lock()
	back := answered && w.down
	w.down = !answered
	w.mu.Unlock()
	if back {
		w.queue.wake()
	}
	if list.Outage != nil { // the cache has served: that is what it is for
		w.o.Log.Debug("the API did not answer", "error", list.Outage.Why)
	}
	return cmp.Or(err, noteErr)
}

// tell logs events.
func (w *work) tell(events []Event) {
	for _, e := range events {
		w.o.Log.Info(e.Text, "event", e.Type, "vm_id", e.VMID, "seq", e.Seq)
	}
}

// drillSome logs in to the VMs whose last drill is an hour ago, two at a time,
// and no more of them in a turn than a fleet of this size needs.
func (w *work) drillSome(ctx context.Context) error {
	due := w.dueForDrill()
	problem.Each(len(due), drillsAtOnce, func(n int) {
		if ctx.Err() != nil {
			return
		}
		err := w.o.Drill(ctx, due[n])
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.drilled[due[n].ID] = w.o.Now()
		before := w.lost[due[n].ID]
		if delete(w.lost, due[n].ID); err != nil {
			w.lost[due[n].ID] = problem.Lasting(err)
		}
		if w.lost[due[n].ID] != before {
			w.o.Log.Info("drill", "vm", due[n].Title(), "reachable", err == nil, "why", w.lost[due[n].ID])
		}
	})
	return nil // a VM that is out of reach is no failure of the drill
}

// dueForDrill are the VMs to be drilled now, those first whose turn is the
// longest ago.
func (w *work) dueForDrill() []inventory.VM {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, listed := w.o.Now(), map[string]bool{}
	last := func(vm inventory.VM) time.Time {
		if at := w.drilled[vm.ID]; at.After(vm.Key.ProvedAt) {
			return at
		}
		return vm.Key.ProvedAt
	}
	var due []inventory.VM
	for _, vm := range w.vms {
		listed[vm.ID] = true
		if vm.Key.Recorded && reachable(vm) && now.Sub(last(vm)) >= drillAge {
			due = append(due, vm)
		}
	}
	for id := range w.drilled {
		if !listed[id] {
			delete(w.drilled, id)
			delete(w.lost, id)
		}
	}
	slices.SortFunc(due, func(a, b inventory.VM) int { return last(a).Compare(last(b)) })
	return due[:min(len(due), drillsAtOnce+2*len(w.vms)*int(drillEvery)/int(drillAge))]
}

// runQueue sends the commits that wait, once the API answers.
func (w *work) runQueue(ctx context.Context) error {
	items, err := w.o.Commits.Queue()
	if len(items) == 0 || !w.o.API.Up(outage.AsAsked) {
		return err
	}
	results, err := w.o.Commits.RunQueue(ctx)
	for _, r := range results {
		w.o.Log.Info("queue", "vm", title(r.VMName, r.VMID), "commit", r.CommitID, "status", r.Status, "why", r.Error)
	}
	if problem.KindOf(err) == problem.Queued { // it goes on waiting
		return nil
	}
	return err
}
