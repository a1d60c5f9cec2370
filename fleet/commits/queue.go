package commits

import (
	"context"
	"fmt"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// QueueItem is an intent as queue list shows it.
type QueueItem struct {
	Intent
	Status string `json:"status"` // queued, unsettled or expired
}

// Queue returns the commits that wait, oldest first.
func (cs *Commits) Queue() ([]QueueItem, error) {
	intents, err := cs.journal().list()
	now := cs.o.Now()
	out := make([]QueueItem, 0, len(intents))
	for _, i := range intents {
		out = append(out, QueueItem{Intent: i, Status: i.State(now)})
	}
	return out, problem.OfStorage("read the queue", err)
}

// RunQueue sends what is due and settles what is not settled, one process at a
// time. Expired intents that were never sent are dropped and reported, with an
// error of kind Partial. A commit that another process is just working on is
// left to it; one that cannot be read stays, is an error of kind Storage, and
// holds up no other.
func (cs *Commits) RunQueue(ctx context.Context) ([]Result, error) {
	release, err := cs.store.Lock(ctx, "queue-run", true)
	if err != nil {
		return nil, problem.OfStorage("lock the queue", err)
	}
	defer release()
	intents, damaged := cs.journal().list()
	if len(intents) == 0 && damaged != nil {
		return []Result{}, problem.OfStorage("read the queue", damaged)
	}
	results := []Result{}
	var first error
	for _, i := range intents {
		r, done, err := cs.runIntent(ctx, i.CommitID)
		if !done {
			continue
		}
		results = append(results, r)
		cs.o.OnQueue(ctx, r)
		if err != nil && (first == nil || problem.KindOf(first) == problem.Queued) {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if waiting := countWaiting(results); waiting > 1 && problem.KindOf(first) == problem.Queued {
		first = &problem.Error{Kind: problem.Queued, Origin: problem.OriginAPI, Retryable: true, What: fmt.Sprintf("%d commits still wait", waiting),
			Why: problem.Why(first), Next: "vers-fleet queue run --wait sends them", Err: first}
	}
	if damaged != nil && (first == nil || problem.KindOf(first) == problem.Queued) {
		first = problem.OfStorage("read the queue", damaged)
	}
	return results, first
}

func countWaiting(results []Result) int {
	n := 0
	for _, r := range results {
		if r.Status == StatusQueued || r.Status == StatusUnsettled {
			n++
		}
	}
	return n
}

// runIntent works on one intent, unless another process does.
func (cs *Commits) runIntent(ctx context.Context, commitID string) (r Result, done bool, err error) {
	release, err := cs.store.Lock(ctx, commitLock(commitID), false)
	if keystore.KindOf(err) == keystore.KindLocked {
		return r, false, nil
	}
	if err != nil {
		return r, true, problem.OfStorage("lock the commit "+commitID, err)
	}
	defer release()
	i, err := cs.journal().get(commitID)
	if keystore.IsNotFound(err) {
		return r, false, nil
	}
	if err != nil {
		return Result{CommitID: commitID, Status: StatusFailed, Error: problem.Why(err), At: cs.o.Now().UTC()}, true, problem.OfStorage("read the queue", err)
	}
	if !i.Sent && i.State(cs.o.Now()) == StatusExpired {
		r, err := cs.expired(i)
		return r, true, err
	}
	if !i.Sent && !i.Queued {
		// A crash came between writing the intent and sending it.
		r, err := cs.refused(i, &problem.Error{Kind: problem.Unavailable, What: "cannot commit " + i.title(), Origin: problem.OriginLocal,
			Why: "the command was stopped before it sent anything", Next: "run the commit again"})
		return r, true, err
	}
	r, err = cs.send(ctx, i)
	return r, true, err
}

// Drop removes intents, all of them when no ids are given. One that was
// sent may have been taken all the same; it is dropped only with force.
func (cs *Commits) Drop(ctx context.Context, commitIDs []string, force bool) ([]Intent, error) {
	names, err := cs.journal().names()
	if err != nil {
		return nil, problem.OfStorage("read the queue", err)
	}
	if len(commitIDs) > 0 {
		names, err = only(names, commitIDs)
		if err != nil {
			return nil, err
		}
	}
	dropped := []Intent{}
	for _, name := range names {
		i, err := cs.drop(ctx, name, force)
		if keystore.IsNotFound(err) { // done by another process meanwhile
			continue
		}
		if err != nil {
			return dropped, problem.OfStorage("drop a queued commit", err)
		}
		dropped = append(dropped, i)
	}
	return dropped, nil
}

// drop removes one intent, unless another process works on it. What a damaged
// one was cannot be known, so it counts as sent.
func (cs *Commits) drop(ctx context.Context, commitID string, force bool) (Intent, error) {
	refuse := &problem.Error{Kind: problem.Usage, Origin: problem.OriginLocal, What: "the commit " + commitID + " was not dropped",
		Next: "settle it with vers-fleet queue run, or drop it with --force"}
	release, err := cs.store.Lock(ctx, commitLock(commitID), false)
	if keystore.KindOf(err) == keystore.KindLocked {
		refuse.Why, refuse.Next = "it is being sent by another process", "see what became of it: vers-fleet queue list"
		return Intent{}, refuse
	}
	if err != nil {
		return Intent{}, err
	}
	defer release()
	i, err := cs.journal().get(commitID)
	switch {
	case keystore.IsNotFound(err):
		return i, err
	case err != nil && !force:
		refuse.Why, refuse.Next = "its entry is damaged, so it may have been sent and a snapshot may exist", "drop it with --force"
		return i, refuse
	case err != nil:
		i = Intent{CommitID: commitID}
	case i.Sent && !force:
		refuse.What, refuse.Why = "the commit of "+i.title()+" was not dropped", "it was sent, so a snapshot may exist"
		return i, refuse
	}
	return i, cs.journal().remove(commitID)
}

// only picks the commit ids that are given in full or by a unique prefix.
func only(commits, ids []string) ([]string, error) {
	var out []string
	for _, id := range ids {
		var match []string
		for _, c := range commits {
			if len(id) >= inventory.MinPrefix && strings.HasPrefix(c, id) {
				match = append(match, c)
			}
		}
		if len(match) != 1 {
			return nil, &problem.Error{Kind: problem.NotFound, Origin: problem.OriginLocal, What: "no single queued commit has the id " + id,
				Next: "see what there is with: vers-fleet queue list"}
		}
		out = append(out, match[0])
	}
	return out, nil
}
