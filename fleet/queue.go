package fleet

import (
	"context"

	"github.com/vers-fleet/vers-fleet/keystore"
)

// QueueItem is an intent as queue list shows it.
type QueueItem struct {
	Intent
	Status string `json:"status"` // queued, unsettled or expired
}

// Queue returns the commits that wait, oldest first.
func (f *Fleet) Queue() ([]QueueItem, error) {
	intents, err := f.journal().list()
	now := f.o.Now()
	out := make([]QueueItem, 0, len(intents))
	for _, i := range intents {
		out = append(out, QueueItem{Intent: i, Status: i.State(now)})
	}
	return out, storageError("read the queue", err)
}

// RunQueue sends what is due and settles what is not settled, one process at a
// time. Expired intents that were never sent are dropped and reported. A
// commit that another process is just working on is left to it.
func (f *Fleet) RunQueue(ctx context.Context) ([]CommitResult, error) {
	release, err := f.keys.Lock(ctx, "queue-run", true)
	if err != nil {
		return nil, storageError("lock the queue", err)
	}
	defer release()
	intents, err := f.journal().list()
	if err != nil {
		f.o.Warn(err.Error())
	}
	results := []CommitResult{}
	var first error
	for _, i := range intents {
		r, done, err := f.runIntent(ctx, i.CommitID)
		if !done {
			continue
		}
		results = append(results, r)
		if err != nil && (first == nil || kindOf(first) == Queued) {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return results, first
}

// runIntent works on one intent, unless another process does.
func (f *Fleet) runIntent(ctx context.Context, commitID string) (r CommitResult, done bool, err error) {
	release, err := f.keys.Lock(ctx, commitLock(commitID), false)
	if keystore.KindOf(err) == keystore.KindLocked {
		return r, false, nil
	}
	if err != nil {
		return r, true, storageError("lock the commit "+commitID, err)
	}
	defer release()
	i, err := f.journal().get(commitID)
	if keystore.IsNotFound(err) {
		return r, false, nil
	}
	if err != nil {
		return CommitResult{CommitID: commitID, Status: StatusFailed, Error: why(err), At: f.o.Now().UTC()}, true, storageError("read the queue", err)
	}
	if !i.Sent && i.State(f.o.Now()) == StatusExpired {
		err := f.journal().remove(commitID)
		return f.result(i, StatusExpired, &Error{Why: "it waited longer than it was meant to; ask for it anew"}), true, storageError("drop an expired commit", err)
	}
	if !i.Sent && !i.Queued {
		// A crash came between writing the intent and sending it.
		r, err := f.refused(i, &Error{Kind: Unavailable, What: "cannot commit " + i.title(), Origin: OriginLocal,
			Why: "the command was stopped before it sent anything", Next: "run the commit again"})
		return r, true, err
	}
	r, err = f.send(ctx, i)
	return r, true, err
}

// DropQueued removes intents, all of them when no ids are given. One that was
// sent may have been taken all the same; it is dropped only with force.
func (f *Fleet) DropQueued(ctx context.Context, commitIDs []string, force bool) ([]Intent, error) {
	intents, err := f.journal().list()
	if err != nil {
		return nil, storageError("read the queue", err)
	}
	if len(commitIDs) > 0 {
		intents, err = only(intents, commitIDs)
		if err != nil {
			return nil, err
		}
	}
	dropped := []Intent{}
	for _, i := range intents {
		if i.Sent && !force {
			return dropped, &Error{Kind: Usage, Origin: OriginLocal, What: "the commit of " + i.title() + " was not dropped",
				Why: "it was sent, so a snapshot may exist", Next: "settle it with vers-fleet queue run, or drop it with --force"}
		}
		if err := f.journal().remove(i.CommitID); err != nil {
			return dropped, storageError("drop a queued commit", err)
		}
		dropped = append(dropped, i)
	}
	return dropped, nil
}

// only picks the intents with the given commit ids or unique prefixes.
func only(intents []Intent, ids []string) ([]Intent, error) {
	var out []Intent
	for _, id := range ids {
		var match []Intent
		for _, i := range intents {
			if len(id) >= minPrefix && len(i.CommitID) >= len(id) && i.CommitID[:len(id)] == id {
				match = append(match, i)
			}
		}
		if len(match) != 1 {
			return nil, &Error{Kind: NotFound, Origin: OriginLocal, What: "no single queued commit has the id " + id,
				Next: "see what there is with: vers-fleet queue list"}
		}
		out = append(out, match[0])
	}
	return out, nil
}
