package commits

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// journalFolder holds one document per commit that was asked for and is
// neither acknowledged nor given up.
const journalFolder = "queue"

// Intent is a commit that was asked for. It is durably on disk before the
// first request leaves, and is removed only when the API has acknowledged the
// snapshot, has refused it for good, or the user drops it.
type Intent struct {
	Version     int       `json:"version"`
	CommitID    string    `json:"commit_id"` // chosen here: what makes repeating it safe
	VMID        string    `json:"vm_id"`
	VMName      string    `json:"vm_name,omitempty"`
	Name        string    `json:"name,omitempty"`
	Description string    `json:"description,omitempty"`
	KeepPaused  bool      `json:"keep_paused,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	Queued      bool      `json:"queued"` // send it later; false: only settle what became of it
	Sent        bool      `json:"sent"`   // a request may have reached the API
	Attempts    int       `json:"attempts"`
	LastError   string    `json:"last_error,omitempty"`
	LastTry     time.Time `json:"last_try_at,omitzero"`
}

// State is what the queue listing shows: queued, unsettled or expired.
func (i Intent) State(now time.Time) string {
	switch {
	case i.Sent:
		return "unsettled"
	case now.After(i.ExpiresAt):
		return "expired"
	}
	return "queued"
}

// journal keeps intents.
type journal struct {
	folder *keystore.Folder
}

func (cs *Commits) journal() journal { return journal{cs.store.Folder(journalFolder)} }

func (j journal) put(i Intent) error {
	i.Version = 1
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	return j.folder.Write(context.Background(), i.CommitID, append(data, '\n'))
}

func (j journal) get(commitID string) (Intent, error) {
	var i Intent
	data, err := j.folder.Read(commitID)
	if err != nil {
		return i, err
	}
	if err = json.Unmarshal(data, &i); err == nil && (i.CommitID != commitID || !api.ValidID(i.CommitID) || !api.ValidID(i.VMID)) {
		err = errors.New("it does not name its commit and VM")
	}
	if err != nil {
		return i, &problem.Error{Kind: problem.Storage, What: "cannot read the queued commit " + commitID, Why: err.Error(), Origin: problem.OriginLocal,
			Next: "vers-fleet queue drop --force " + commitID, Err: err}
	}
	return i, nil
}

// names lists the commit ids of all intents, also of those that cannot be read.
func (j journal) names() ([]string, error) { return j.folder.Names() }

func (j journal) remove(commitID string) error {
	return j.folder.Remove(context.Background(), commitID)
}

// list returns the intents, oldest first, and the errors of those that cannot
// be read.
func (j journal) list() ([]Intent, error) {
	names, err := j.names()
	if err != nil {
		return nil, err
	}
	var out []Intent
	var damaged error
	for _, name := range names {
		i, err := j.get(name)
		switch {
		case keystore.IsNotFound(err): // done by another process meanwhile
		case err != nil:
			damaged = errors.Join(damaged, err)
		default:
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b Intent) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return out, damaged
}

// commitLock names the lock that whoever works on an intent holds. Lock files
// stay on disk, so intents share a bounded number of them; two that share one
// merely wait for each other.
func commitLock(commitID string) string { return "commit-" + commitID[:min(2, len(commitID))] }
