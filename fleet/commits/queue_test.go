package commits_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A commit that was sent, was not taken, and has expired meanwhile is not sent
// days later.
func TestExpiredUnsettledCommitIsNotSent(t *testing.T) {
	w := fleettest.New(t, 6)
	w.Options.Retry.MaxAttempts = 1
	w.Fault(sim.Fault{Kind: "reset"})
	r, err := w.Open().Commits.Commit(t.Context(), inventory.VM{ID: sim.MarketingID}, commits.Request{Queue: true})
	if problem.KindOf(err) != problem.Queued || r.Status != commits.StatusUnsettled {
		t.Fatal(r.Status, err)
	}
	w.Sim.ClearFaults()
	w.Forget()
	days := func(o *fleet.Options) { o.Now = func() time.Time { return time.Now().Add(72 * time.Hour) } }
	results, err := w.Open(days).Commits.RunQueue(t.Context())
	if len(results) != 1 || results[0].Status != commits.StatusExpired || problem.KindOf(err) == "" {
		t.Errorf("%+v, %v", results, err)
	}
	if n := len(w.Sim.Commits()); n != 0 {
		t.Errorf("%d snapshots", n)
	}
}

// The first request acted and its answer was lost; the second was refused for
// another reason. The snapshot that exists must not be denied.
func TestRefusalAfterALostAnswer(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	posts := 0
	var mu sync.Mutex
	front.Set(func(_ *http.Request) *fleettest.Reply {
		mu.Lock()
		defer mu.Unlock()
		if posts > 0 {
			return &fleettest.Reply{Status: http.StatusForbidden, Body: []byte("403 Forbidden")}
		}
		return nil
	}, func(r *http.Request, a *fleettest.Reply) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPost {
			posts++
			*a = fleettest.Reply{Status: http.StatusServiceUnavailable, Body: []byte("Service unavailable")}
		}
	})
	r, err := w.Open().Commits.Commit(t.Context(), inventory.VM{ID: sim.MarketingID}, commits.Request{})
	if r.Status != commits.StatusUnsettled || problem.KindOf(err) != problem.Queued {
		t.Errorf("%d snapshots, yet: %s, %v", len(w.Sim.Commits()), r.Status, err)
	}
	front.Set(nil, nil)
	w.Forget()
	if results, err := w.Open().Commits.RunQueue(t.Context()); err != nil || len(results) != 1 || results[0].Status != commits.StatusCommitted {
		t.Errorf("%+v, %v", results, err)
	}
}

// Queued, none sent: each VM has its own intent, and one damaged file keeps
// neither the others from being sent nor itself from being dropped.
func TestDamagedIntent(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	w.Fault(sim.Fault{Kind: "503"})
	vms := []inventory.VM{{ID: w.Sim.VMs()[0].ID()}, {ID: w.Sim.VMs()[1].ID()}, {ID: w.Sim.VMs()[2].ID()}}
	w.Open().Inventory.List(t.Context(), inventory.ListOptions{}) // the outage is known
	results, err := w.Open().Commits.All(t.Context(), vms, commits.Request{Queue: true})
	if problem.KindOf(err) != problem.Queued {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Status != commits.StatusQueued {
			t.Errorf("%+v", r)
		}
	}
	bad := results[1].CommitID
	if err := os.WriteFile(filepath.Join(w.Home, "default", "queue", bad+".json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Sim.ClearFaults()
	w.Forget()
	if _, err := w.Open().Status(t.Context(), outage.Now); err != nil {
		t.Errorf("status: %v", err)
	}
	ran, err := w.Open().Commits.RunQueue(t.Context())
	if problem.KindOf(err) != problem.Storage || len(ran) != 2 || len(w.Sim.Commits()) != 2 {
		t.Errorf("ran %+v, %v, %d snapshots", ran, err, len(w.Sim.Commits()))
	}
	if _, err := w.Open().Commits.Drop(t.Context(), []string{bad[:8]}, false); problem.KindOf(err) != problem.Usage {
		t.Errorf("dropped without --force, although nobody knows if it was sent: %v", err)
	}
	if _, err := w.Open().Commits.Drop(t.Context(), []string{bad[:8]}, true); err != nil {
		t.Errorf("drop: %v", err)
	}
	if items, err := w.Open().Commits.Queue(); err != nil || len(items) != 0 {
		t.Errorf("%+v, %v", items, err)
	}
}

// What another process is sending just now is neither taken from it by queue
// run nor dropped.
func TestQueueAndACommitUnderWay(t *testing.T) {
	w := fleettest.New(t, 6)
	front := fleettest.NewFront(w)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	front.Set(func(r *http.Request) *fleettest.Reply {
		if r.Method == http.MethodPost {
			close(arrived)
			<-goOn
		}
		return nil
	}, nil)
	var all sync.WaitGroup
	all.Go(func() {
		if r, err := w.Open().Commits.Commit(t.Context(), inventory.VM{ID: sim.MarketingID}, commits.Request{Queue: true}); err != nil {
			t.Errorf("%+v, %v", r, err)
		}
	})
	<-arrived
	if r, err := w.Open().Commits.RunQueue(t.Context()); err != nil || len(r) != 0 {
		t.Errorf("queue run: %+v, %v", r, err)
	}
	if dropped, err := w.Open().Commits.Drop(t.Context(), nil, true); err == nil || len(dropped) != 0 {
		t.Errorf("queue drop: %+v, %v", dropped, err)
	}
	close(goOn)
	all.Wait()
	if n := len(w.Sim.Commits()); n != 1 {
		t.Errorf("%d snapshots", n)
	}
}

// Ctrl-C before anything was sent leaves nothing behind.
func TestInterruptedBeforeTheCommit(t *testing.T) {
	w := fleettest.New(t, 6)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var vms []inventory.VM
	for _, vm := range w.Sim.VMs() {
		vms = append(vms, inventory.VM{ID: vm.ID()})
	}
	if _, err := w.Open().Commits.All(ctx, vms, commits.Request{}); problem.KindOf(err) != problem.Interrupted {
		t.Error(err)
	}
	if items, err := w.Open().Commits.Queue(); err != nil || len(items) != 0 {
		t.Errorf("%d left in the queue, %v", len(items), err)
	}
}

// Errors of what the user typed or others named can be pasted as they are.
func TestAdviceCanBePasted(t *testing.T) {
	w := fleettest.New(t, 6)
	w.Sim.VM(sim.MarketingID).SetLabels(map[string]string{"name": "it's $(id) #1"})
	if err := w.Sim.VM(sim.MarketingID).SetState("paused"); err != nil {
		t.Fatal(err)
	}
	list, err := w.Open().List(t.Context(), fleet.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	vms, err := list.Select(inventory.Selection{Names: []string{"it's $(id) #1"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Open().Access.Connect(t.Context(), vms[0], access.How{})
	var e *problem.Error
	fleettest.AsError(err, &e)
	if want := `vers-fleet resume 'it'\''s $(id) #1'`; !strings.HasPrefix(e.Next, want) {
		t.Errorf("next: %s", e.Next)
	}
}
