package commits

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Commit is a snapshot that the platform has, or one that was asked for from here
// and waits. The JSON names are stable.
type Commit struct {
	CommitID       string        `json:"commit_id"`
	Name           string        `json:"name,omitempty"`
	Description    string        `json:"description,omitempty"`
	VMID           string        `json:"vm_id,omitempty"`   // the VM it was taken of
	VMName         string        `json:"vm_name,omitempty"` // as it is called, or was when it was there
	VMGone         bool          `json:"vm_gone"`           // the API no longer lists that VM
	ParentCommitID string        `json:"parent_commit_id,omitempty"`
	Status         string        `json:"status"` // committed, or as in the queue
	CreatedAt      time.Time     `json:"created_at,omitzero"`
	AskedAt        time.Time     `json:"asked_at,omitzero"` // from this machine
	Source         outage.Source `json:"source"`
	AsOf           time.Time     `json:"as_of,omitzero"`
}

// Listing is the platform's commits, newest first, with those that wait.
type Listing struct {
	Commits []Commit
	Source  outage.Source
	AsOf    time.Time
	Outage  *problem.Error // why the cache had to serve
	Unsaved error          // a live answer that could not be recorded
	More    bool           // there are more than api.MaxCommits
}

// recordDoc is the document that holds what the platform listed last.
const recordDoc = "commits"

// record is its content.
type record struct {
	Version int              `json:"version"`
	AsOf    time.Time        `json:"as_of"`
	More    bool             `json:"more,omitempty"`
	Commits []recordedCommit `json:"commits"`
}

type recordedCommit struct {
	ID             string    `json:"id"`
	Name           string    `json:"name,omitempty"`
	Description    string    `json:"description,omitempty"`
	VMID           string    `json:"vm_id,omitempty"`
	VMName         string    `json:"vm_name,omitempty"` // outlives the VM
	ParentCommitID string    `json:"parent_commit_id,omitempty"`
	CreatedAt      time.Time `json:"created_at,omitzero"`
	AskedAt        time.Time `json:"asked_at,omitzero"`
}

// maxNoted bounds the text of a name or description that is recorded, bytes.
const maxNoted = 200

// List returns the commits, from the API when it answers and from the record else.
// A live answer is recorded.
func (cs *Commits) List(ctx context.Context) (Listing, error) {
	known, err := cs.known()
	if err != nil {
		return Listing{}, err
	}
	answer, err := outage.Ask(ctx, cs.api, outage.Call[record]{
		What: "list the commits", Repeatable: true,
		Live: func(ctx context.Context, c *api.Client) (record, error) {
			list, more, err := c.Commits(ctx)
			return cs.toRecord(list, more, known), err
		},
		Keep: func(r record) error { return cs.keep(ctx, r) },
		Cached: func() (record, time.Time, error) {
			r, err := cs.recorded()
			if keystore.IsNotFound(err) {
				err = outage.ErrNothingCached
			}
			return r, r.AsOf, err
		},
	})
	if err != nil {
		return Listing{}, err
	}
	list := Listing{Source: answer.Source, AsOf: answer.AsOf, Outage: answer.Outage, Unsaved: answer.Unsaved, More: answer.Value.More}
	queue, err := cs.Queue()
	if err != nil {
		return list, err
	}
	list.Commits = joined(answer.Value, queue, list.Source, list.AsOf)
	for i := range list.Commits {
		c := &list.Commits[i]
		c.VMName = cmp.Or(known.vms[c.VMID].Name, c.VMName)
		c.VMGone = known.gone(*c)
	}
	return list, nil
}

// knownVMs is what is recorded of the VMs.
type knownVMs struct {
	vms  map[string]inventory.VM
	asOf time.Time // of the inventory; zero if there is none
}

func (cs *Commits) known() (knownVMs, error) {
	k := knownVMs{vms: map[string]inventory.VM{}}
	vms, err := cs.o.Inventory.Known()
	if err == nil {
		err = cs.o.Inventory.ReadRecords(vms)
	}
	for _, vm := range vms {
		k.vms[vm.ID], k.asOf = vm, vm.AsOf
	}
	return k, err
}

// gone tells whether the VM of a commit is: the API listed it no more, or it did
// not list it at a time when it must have been there.
func (k knownVMs) gone(c Commit) bool {
	if vm, ok := k.vms[c.VMID]; ok {
		return !vm.GoneAt.IsZero()
	}
	return c.VMID != "" && c.at().Before(k.asOf)
}

// toRecord is what is kept of the platform's answer: what was known before of when
// a commit was asked for, and of the names of VMs that are gone, stays.
func (cs *Commits) toRecord(list []api.Commit, more bool, known knownVMs) record {
	old, _ := cs.recorded() // nothing yet, or nothing that can be read
	before, names := make(map[string]recordedCommit, len(old.Commits)), map[string]string{}
	for _, c := range old.Commits {
		before[c.ID] = c
		if c.VMName != "" {
			names[c.VMID] = c.VMName
		}
	}
	r := record{Version: 1, AsOf: cs.o.Now().UTC(), More: more, Commits: make([]recordedCommit, 0, len(list))}
	for _, c := range list {
		r.Commits = append(r.Commits, recordedCommit{ID: c.ID, Name: noted(c.Name), Description: noted(c.Description), VMID: c.ParentVMID,
			VMName:         cmp.Or(known.vms[c.ParentVMID].Name, names[c.ParentVMID]),
			ParentCommitID: c.ParentCommitID, CreatedAt: c.CreatedAt, AskedAt: before[c.ID].AskedAt})
	}
	return r
}

// noted cuts a text that would fill the record.
func noted(s string) string {
	if len(s) <= maxNoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxNoted], "") + "…"
}

// keep records a live listing. An empty one erases nothing.
func (cs *Commits) keep(ctx context.Context, r record) error {
	if err := cs.api.Bind(); err != nil {
		return err
	}
	return cs.update(ctx, func(old *record) {
		if len(r.Commits) == 0 && len(old.Commits) > 0 {
			cs.o.Warn("the API lists no commit at all; what was recorded is kept")
			return
		}
		*old = r
	})
}

// note records a commit that was acknowledged just now, so that it is listed while
// the API is down. It is a convenience: a failure is only told.
func (cs *Commits) note(i Intent) {
	err := cs.update(context.Background(), func(r *record) {
		r.Commits = slices.DeleteFunc(r.Commits, func(c recordedCommit) bool { return c.ID == i.CommitID })
		r.Commits = slices.Insert(r.Commits, 0, recordedCommit{ID: i.CommitID, Name: noted(i.Name), Description: noted(i.Description), VMID: i.VMID, VMName: i.VMName,
			CreatedAt: cs.o.Now().UTC(), AskedAt: i.CreatedAt})
		r.Commits = r.Commits[:min(len(r.Commits), api.MaxCommits)]
	})
	if err != nil {
		cs.o.Warn("the commit was taken, but could not be added to what is recorded of commits: " + err.Error())
	}
}

func (cs *Commits) recorded() (record, error) {
	var r record
	data, err := cs.store.Doc(recordDoc).Read()
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

func (cs *Commits) update(ctx context.Context, change func(*record)) error {
	return cs.store.Doc(recordDoc).Update(ctx, func(old []byte) ([]byte, error) {
		var r record
		if json.Unmarshal(old, &r) != nil {
			r = record{}
		}
		change(&r)
		r.Version = 1
		data, err := json.Marshal(r)
		return append(data, '\n'), err
	})
}

// joined is what the platform has, or had, with what waits, newest first.
func joined(r record, queue []QueueItem, source outage.Source, asOf time.Time) []Commit {
	out := make([]Commit, 0, len(r.Commits)+len(queue))
	has := make(map[string]bool, len(r.Commits))
	for _, c := range r.Commits {
		has[c.ID] = true
		out = append(out, Commit{CommitID: c.ID, Name: c.Name, Description: c.Description, VMID: c.VMID, VMName: c.VMName, ParentCommitID: c.ParentCommitID,
			Status: StatusCommitted, CreatedAt: c.CreatedAt, AskedAt: c.AskedAt, Source: source, AsOf: asOf})
	}
	for _, q := range queue {
		if !has[q.CommitID] { // else it was taken, and queue run will find out
			out = append(out, Commit{CommitID: q.CommitID, Name: q.Name, Description: q.Description, VMID: q.VMID, VMName: q.VMName, Status: q.Status,
				AskedAt: q.CreatedAt, Source: source, AsOf: asOf})
		}
	}
	slices.SortStableFunc(out, func(a, b Commit) int { return b.at().Compare(a.at()) })
	return out
}

// at is what a commit is sorted by.
func (c Commit) at() time.Time {
	if c.CreatedAt.IsZero() {
		return c.AskedAt
	}
	return c.CreatedAt
}

// Of narrows a listing to the commits of one VM. A VM that nothing but its commits
// is known of is found by its name or id, or a prefix of that.
func (cs *Commits) Of(l Listing, word string) ([]Commit, error) {
	vm, err := cs.o.Inventory.OneKnown(word)
	if err == nil {
		return l.where(func(c Commit) bool { return c.VMID == vm.ID }), nil
	}
	if problem.KindOf(err) != problem.NotFound {
		return nil, err
	}
	found := l.where(func(c Commit) bool { return c.VMName == word })
	if len(found) == 0 && len(word) >= inventory.MinPrefix {
		found = l.where(func(c Commit) bool { return strings.HasPrefix(c.VMID, strings.ToLower(word)) })
	}
	vms := map[string]bool{}
	for _, c := range found {
		vms[c.VMID] = true
	}
	switch len(vms) {
	case 0:
		return nil, err
	case 1:
		return found, nil
	}
	return nil, &problem.Error{Kind: problem.Ambiguous, What: "several VMs that are gone are meant by " + word, Origin: problem.OriginLocal,
		Next: "name one by its id; see them all with: vers-fleet commits list"}
}

func (l Listing) where(keep func(Commit) bool) []Commit {
	out := []Commit{}
	for _, c := range l.Commits {
		if keep(c) {
			out = append(out, c)
		}
	}
	return out
}

// One is the commit of an id, of a unique prefix of one, or of a name that no
// other commit has.
func (l Listing) One(word string) (Commit, error) {
	found := l.where(func(c Commit) bool { return c.CommitID == strings.ToLower(word) })
	if len(found) == 0 {
		found = l.where(func(c Commit) bool {
			return c.Name == word || len(word) >= inventory.MinPrefix && strings.HasPrefix(c.CommitID, strings.ToLower(word))
		})
	}
	if len(found) == 1 {
		return found[0], nil
	}
	e := &problem.Error{Kind: problem.NotFound, What: "no commit has the id or name " + word, Origin: problem.OriginLocal, Next: "see what there is with: vers-fleet commits list"}
	if len(found) > 1 {
		e.Kind, e.What = problem.Ambiguous, problem.Counted(len(found), "commit")+" are meant by "+word
		e.Next = "use the id, or more of it; see: vers-fleet commits list"
	}
	return Commit{}, e
}
