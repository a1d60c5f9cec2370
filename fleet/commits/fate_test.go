package commits_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A request whose answer is missing may be acted on a while later. Until that
// is out of the question, a commit that the API does not know is not given up.
func TestCommitTakenAfterTheClientGaveUp(t *testing.T) {
	for _, queue := range []bool{false, true} {
		w := fleettest.New(t, 6)
		front := fleettest.NewFront(w)
		vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
		w.Options.API.Timeouts.Action = 3 * time.Second // time to be sent, on a busy machine too
		w.Options.Retry.MaxAttempts = 1
		held := make(chan *http.Request, 1)
		front.Set(func(r *http.Request) *fleettest.Reply {
			if r.Method != http.MethodPost {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			late := r.Clone(context.Background())
			late.Body = io.NopCloser(bytes.NewReader(body))
			held <- late
			<-r.Context().Done()
			return nil
		}, nil)
		r, err := w.Open().Commits.Commit(t.Context(), vm, commits.Request{Queue: queue})
		if problem.KindOf(err) != problem.Queued || r.Status != commits.StatusUnsettled {
			t.Errorf("queue %t: %s, %v", queue, r.Status, err)
		}
		front.Set(nil, nil)
		if !queue {
			w.Forget()
			if results, err := w.Open().Commits.RunQueue(t.Context()); problem.KindOf(err) != problem.Queued || len(results) != 1 || results[0].Status != commits.StatusUnsettled {
				t.Errorf("too early: %+v, %v", results, err)
			}
		}
		if _, err := fleettest.Forward(<-held, strings.TrimSuffix(w.Sim.BaseURL(), "/api/v1"), w.Sim.APIKey()); err != nil {
			t.Error(err)
		}
		w.Forget()
		results, err := w.Open().Commits.RunQueue(t.Context())
		if err != nil || len(results) != 1 || results[0].Status != commits.StatusCommitted || results[0].CommitID != r.CommitID {
			t.Errorf("queue %t: %+v, %v", queue, results, err)
		}
		if n := len(w.Sim.Commits()); n != 1 {
			t.Errorf("queue %t: %d snapshots", queue, n)
		}
	}
}

// A server that wants to be left alone is not asked either what became of a
// commit; the commit waits.
func TestRetryAfterHoldsTheQuestionToo(t *testing.T) {
	w := fleettest.New(t, 6)
	w.Fault(sim.Fault{Kind: "503-after", RetryAfter: "120"})
	r, err := w.Open().Commits.Commit(t.Context(), inventory.VM{ID: sim.MarketingID}, commits.Request{})
	if problem.KindOf(err) != problem.Queued || r.Status != commits.StatusUnsettled {
		t.Errorf("got %s, %v", r.Status, err)
	}
	if n := len(w.Sim.Calls()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	w.Sim.ClearFaults()
	w.Forget()
	if results, err := w.Open().Commits.RunQueue(t.Context()); err != nil || len(results) != 1 || results[0].Status != commits.StatusCommitted {
		t.Errorf("queue run: %+v, %v", results, err)
	}
	if n := len(w.Sim.Commits()); n != 1 {
		t.Errorf("%d snapshots", n)
	}
}

// The time given by --timeout is not exceeded by much to settle a commit.
func TestTimeoutEndsSoon(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	w.Options.API.Timeouts = api.Timeouts{}
	w.Fault(sim.Fault{Kind: "hang"})
	began := time.Now()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second) // time to be sent
	defer stop()
	if _, err := w.Open().Commits.Commit(ctx, inventory.VM{ID: sim.MarketingID}, commits.Request{}); problem.KindOf(err) != problem.Queued {
		t.Errorf("commit: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("commit took %s", took)
	}
	w.Forget()
	if list, err := w.Open().List(ctx, fleet.ListOptions{}); err != nil || list.Source != outage.FromCache {
		t.Errorf("vms: from %s, %v", list.Source, err)
	}
}
