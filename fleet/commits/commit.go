package commits

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Request describes a snapshot.
type Request struct {
	Name        string
	Description string
	KeepPaused  bool
	Queue       bool          // API down: leave it to be sent later
	Again       bool          // queue it although one for the VM waits already
	TTL         time.Duration // a queued one is not sent later than this; 0 = Options.QueueTTL
}

// Result is what became of one commit.
type Result struct {
	VMID     string    `json:"vm_id"`
	VMName   string    `json:"vm_name,omitempty"`
	CommitID string    `json:"commit_id"`
	Status   string    `json:"status"` // committed, queued, unsettled, failed or expired
	Error    string    `json:"error,omitempty"`
	At       time.Time `json:"at"`
}

// The statuses of a CommitResult.
const (
	StatusCommitted = "committed" // the API acknowledged exactly this snapshot
	StatusQueued    = "queued"    // not sent; it waits for the API
	StatusUnsettled = "unsettled" // sent, but no answer tells whether it was taken
	StatusFailed    = "failed"    // the API refused it; nothing was taken
	StatusExpired   = "expired"   // queued for too long; not sent
)

// Commit snapshots one VM. The commit's id is chosen here and the intent is on
// disk before the first request, so that a repeated request cannot take a
// second snapshot and a crash cannot lose the first: afterwards the result is
// committed, failed, or still in the queue and says so. The error is nil only
// for committed; its kind is Queued for a commit left in the queue.
//
// A process that dies leaves behind, by the moment it died:
//   - before the intent is written: nothing, and nothing was sent;
//   - before it is marked as sent: an intent that queue run sends if it was
//     asked for with Queue, and else reports as never sent;
//   - after that: an intent marked as sent, whether or not the request left or
//     was acted on. queue run asks the API for the id first: taken means
//     acknowledged; not taken means sent again with the same id (Queue) or,
//     once the API cannot be at work on it any more, reported as lost;
//   - before the acknowledged intent is removed: the same, and it is taken.
//
// The lock of whoever works on an intent ends with its process.
func (cs *Commits) Commit(ctx context.Context, vm inventory.VM, o Request) (Result, error) {
	now := cs.o.Now().UTC()
	ttl := o.TTL
	if ttl == 0 {
		ttl = cs.o.QueueTTL
	}
	i := Intent{CommitID: uuid.NewString(), VMID: vm.ID, VMName: vm.Name, Name: o.Name, Description: o.Description,
		KeepPaused: o.KeepPaused, CreatedAt: now, ExpiresAt: now.Add(ttl), Queued: o.Queue}
	// The lock comes first: a queue run must not find the intent before it is
	// clear that this process works on it.
	release, err := cs.store.Lock(ctx, commitLock(i.CommitID), true)
	if ctx.Err() != nil {
		err = cs.api.Explain("commit "+i.title(), ctx.Err())
	}
	if err != nil {
		return cs.result(i, StatusFailed, err), problem.OfStorage("lock the commit's intent; nothing was sent", err)
	}
	defer release()
	if err := cs.journal().put(i); err != nil {
		return cs.result(i, StatusFailed, err), problem.OfStorage("write the commit to the journal; nothing was sent", err)
	}
	r, err := cs.send(ctx, i)
	if r.Status == StatusQueued && !o.Again {
		return cs.joinWaiting(ctx, i, r, err)
	}
	return r, err
}

// joinWaiting lets one queued commit of a VM do for several: they would all
// capture it as it is when they are sent. The one that waits already is kept, as
// long as the new one would have been. The caller holds the lock of i.
func (cs *Commits) joinWaiting(ctx context.Context, i Intent, r Result, reason error) (Result, error) {
	intents, _ := cs.journal().list() // what cannot be read is not joined
	for _, old := range intents {
		if old.VMID != i.VMID || old.CommitID == i.CommitID {
			continue
		}
		if commitLock(old.CommitID) != commitLock(i.CommitID) {
			release, err := cs.store.Lock(ctx, commitLock(old.CommitID), false)
			if err != nil { // somebody works on it
				continue
			}
			defer release()
		}
		old, err := cs.journal().get(old.CommitID)
		if err != nil || !old.Queued || old.State(cs.o.Now()) != StatusQueued {
			continue
		}
		if i.ExpiresAt.After(old.ExpiresAt) {
			old.ExpiresAt = i.ExpiresAt
		}
		if cs.journal().put(old) != nil || cs.journal().remove(i.CommitID) != nil {
			return r, reason // both wait
		}
		e := &problem.Error{Kind: problem.Queued, Origin: problem.OriginAPI, Retryable: true, Err: reason, What: "the commit of " + i.title() + " was queued already",
			Why:  "one waits since " + problem.Moment(old.CreatedAt) + ", and captures the VM as it is when it is sent",
			Next: "vers-fleet queue run --wait sends it; --again queues another one"}
		return cs.result(old, StatusQueued, e), e
	}
	return r, reason
}

// send carries an intent as far as it can. The caller holds the intent's lock.
func (cs *Commits) send(ctx context.Context, i Intent) (Result, error) {
	if i.Sent {
		taken, err := cs.taken(ctx, i)
		switch {
		case err != nil:
			return cs.leave(i, err)
		case taken:
			return cs.acknowledged(i)
		case !i.Queued && cs.o.Now().Sub(i.LastTry) < lostAfter:
			return cs.leave(i, &problem.Error{Kind: problem.Unavailable, Origin: problem.OriginAPI, Why: "the API has no such commit yet, but may still be at work on it"})
		case !i.Queued:
			return cs.refused(i, lostError(i))
		}
		if i.Sent = false; i.State(cs.o.Now()) == StatusExpired {
			return cs.expired(i)
		}
	}
	doubt, err := cs.post(ctx, &i)
	switch kind := problem.KindOf(err); {
	case err == nil:
		return cs.acknowledged(i)
	case kind == problem.Storage && i.Queued:
		return cs.result(i, StatusQueued, err), err
	case doubt != nil, i.Sent && kind != problem.Auth && kind != problem.NotFound && kind != problem.Usage:
		return cs.settle(ctx, i, err, doubt)
	case kind == problem.Unavailable || kind == problem.Interrupted:
		return cs.leave(i, err)
	}
	return cs.refused(i, err)
}

// post sends the request, repeating it as the policy allows: the same id makes
// a repetition harmless. i.Sent tells afterwards whether any of the requests
// may have reached the API. doubt is how an earlier one of them ended that may
// have acted all the same, so that the refusal of the last one does not mean
// that no snapshot was taken.
func (cs *Commits) post(ctx context.Context, i *Intent) (doubt, err error) {
	var last error
	_, err = outage.Ask(ctx, cs.api, outage.Call[string]{
		What: "commit " + i.title(), Repeatable: true, Acts: true,
		Live: func(ctx context.Context, c *api.Client) (string, error) {
			if i.Sent && (doubt == nil || outage.MayStillAct(last)) {
				doubt = last
			}
			if err := cs.markSent(i); err != nil {
				return "", err
			}
			id, err := c.Commit(ctx, i.VMID, api.CommitRequest{CommitID: i.CommitID, Name: i.Name, Description: i.Description,
				KeepPaused: i.KeepPaused})
			var ae *api.Error
			if last = err; doubt == nil && errors.As(err, &ae) && !ae.Sent {
				i.Sent = false // it surely never left
			}
			return id, err
		},
	})
	return doubt, err
}

// markSent records, before the request, that it may reach the API.
func (cs *Commits) markSent(i *Intent) error {
	if i.Sent {
		return nil
	}
	i.Sent, i.Attempts, i.LastTry = true, i.Attempts+1, cs.o.Now().UTC()
	if err := cs.journal().put(*i); err != nil {
		i.Sent = false
		return problem.OfStorage("write the commit to the journal; nothing was sent", err)
	}
	return nil
}

// settle ends an attempt whose answer is missing or ambiguous (a timeout, a
// reset, a 409 or 5xx after the server may have acted).
func (cs *Commits) settle(ctx context.Context, i Intent, reason, doubt error) (Result, error) {
	ctx, stop := outage.Afterwards(ctx)
	defer stop()
	taken, err := cs.taken(ctx, i)
	switch {
	case err == nil && taken:
		return cs.acknowledged(i)
	case err != nil, outage.MayStillAct(reason), doubt != nil && outage.MayStillAct(doubt):
		return cs.leave(i, reason)
	}
	i.Sent = false
	if i.Queued {
		return cs.leave(i, reason)
	}
	return cs.refused(i, reason)
}

// lostAfter is when a request that the API knows nothing of counts as lost. It
// exceeds the time that an API at work on a commit takes to answer.
const lostAfter = 5 * time.Minute

// taken asks the API for the commit's id and compares the VM. An error means
// that it is still not known.
func (cs *Commits) taken(ctx context.Context, i Intent) (bool, error) {
	answer, err := outage.Ask(ctx, cs.api, outage.Call[[]api.Commit]{
		What: "ask whether the commit of " + i.title() + " was taken", Repeatable: true, Insist: true,
		Live: func(ctx context.Context, c *api.Client) ([]api.Commit, error) {
			return c.CommitParents(ctx, i.CommitID)
		},
	})
	if problem.KindOf(err) == problem.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(answer.Value) == 0 || answer.Value[0].ID != i.CommitID {
		return false, &problem.Error{Kind: problem.Unavailable, What: "the commit's fate is unknown", Why: "the API answered without naming it", Origin: problem.OriginAPI}
	}
	if parent := answer.Value[0].ParentVMID; parent != "" && parent != i.VMID {
		return false, &problem.Error{Kind: problem.Unexpected, What: "the commit's fate is unknown", Origin: problem.OriginAPI,
			Why: fmt.Sprintf("the API has commit %s for another VM (%s)", i.CommitID, parent)}
	}
	return true, nil
}

// expired drops an intent that was not sent in its time, or surely not taken.
func (cs *Commits) expired(i Intent) (Result, error) {
	e := &problem.Error{Kind: problem.Partial, What: "the commit of " + i.title() + " has expired", Origin: problem.OriginLocal,
		Why: "it waited longer than it was meant to; no snapshot was taken", Next: "ask for it anew: vers-fleet commit " + safe.Word(i.title())}
	if err := cs.journal().remove(i.CommitID); err != nil {
		return cs.result(i, StatusExpired, e), problem.OfStorage("drop an expired commit", err)
	}
	return cs.result(i, StatusExpired, e), e
}

func lostError(i Intent) *problem.Error {
	return &problem.Error{Kind: problem.Unavailable, What: "cannot commit " + i.title(), Origin: problem.OriginAPI, Retryable: true,
		Why: "the API lost the request: it has no such commit", Next: "run it again; nothing was taken"}
}

// acknowledged removes an intent that the API has confirmed.
func (cs *Commits) acknowledged(i Intent) (Result, error) {
	if err := cs.journal().remove(i.CommitID); err != nil {
		cs.o.Warn("the commit was taken, but its journal entry could not be removed; queue run will: " + err.Error())
	}
	cs.note(i)
	return cs.result(i, StatusCommitted, nil), nil
}

// refused removes an intent of which no snapshot exists or will.
func (cs *Commits) refused(i Intent, why error) (Result, error) {
	if err := cs.journal().remove(i.CommitID); err != nil {
		cs.o.Warn("the journal entry of a refused commit could not be removed: " + err.Error())
	}
	return cs.result(i, StatusFailed, why), cs.api.Explain("commit "+i.title(), why)
}

// leave keeps an intent for later, or drops it when nothing was sent and the
// user did not ask for it to be queued.
func (cs *Commits) leave(i Intent, reason error) (Result, error) {
	if !i.Sent && !i.Queued {
		result, err := cs.refused(i, reason)
		var e *problem.Error
		if errors.As(err, &e) && e.Kind == problem.Unavailable {
			e.Next = "nothing was sent; add --queue to have it sent when the API is back"
		}
		return result, err
	}
	i.LastError = problem.Lasting(reason)
	if err := cs.journal().put(i); err != nil {
		return cs.result(i, StatusUnsettled, err), problem.OfStorage("write the journal", err)
	}
	e := &problem.Error{Kind: problem.Queued, Origin: problem.OriginAPI, Retryable: true, Why: problem.Why(reason), Err: reason,
		What: "the commit of " + i.title() + " is queued",
		Next: "vers-fleet queue run --wait sends it; it will capture the VM as it is then"}
	if !i.Sent {
		return cs.result(i, StatusQueued, e), e
	}
	e.What = "whether " + i.title() + " was committed is not known yet"
	e.Next = "vers-fleet queue run --wait settles it; it is never taken twice"
	return cs.result(i, StatusUnsettled, e), e
}

func (cs *Commits) result(i Intent, status string, err error) Result {
	r := Result{VMID: i.VMID, VMName: i.VMName, CommitID: i.CommitID, Status: status, At: cs.o.Now().UTC()}
	if err != nil {
		r.Error = problem.Why(err)
	}
	return r
}

func (i Intent) title() string {
	if i.VMName != "" {
		return i.VMName
	}
	return i.VMID
}

// commitJobs bounds snapshots taken side by side; they are heavy for the
// platform.
const commitJobs = 4

// All snapshots several VMs side by side. The error is that of the VM
// when there is one, or when all failed alike; else its kind is Partial.
func (cs *Commits) All(ctx context.Context, vms []inventory.VM, o Request) ([]Result, error) {
	results := make([]Result, len(vms))
	errs := make([]error, len(vms))
	problem.Each(len(vms), commitJobs, func(n int) { results[n], errs[n] = cs.Commit(ctx, vms[n], o) })
	return results, problem.Sum{Waiting: "have a commit in the queue", Failed: "could not be committed", Next: problem.SeeList, Alike: true}.Of(ctx, inventory.Outcomes(vms, errs))
}
