package api

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// VMs lists every VM the API key may see. An entry without a valid id is left
// out with a warning; an id listed twice is returned once. An empty fleet is an
// empty slice, never nil.
func (c *Client) VMs(ctx context.Context) ([]VM, error) {
	return call(ctx, c, request{op: "list VMs", path: "/vms"}, readVMs)
}

// Health asks the host's /health, which needs no key and lies outside the
// base. It counts the connections of the front: that it is well says nothing of
// the rest.
func (c *Client) Health(ctx context.Context) error {
	root := url.URL{Scheme: c.base.Scheme, Host: c.base.Host}
	_, err := call(ctx, c, request{op: "ask for the host's health", path: "/health", base: &root}, func(*warnings, []byte) (struct{}, error) { return struct{}{}, nil })
	return err
}

// Status returns one VM as the platform sees it now. Besides the kinds that
// every call has, KindNotFound.
func (c *Client) Status(ctx context.Context, id string) (VM, error) {
	return call(ctx, c, request{op: "get the VM", path: "/vm/%s/status", id: id}, func(n *warnings, body []byte) (VM, error) {
		return readVM(n, body, id)
	})
}

// Metadata returns what the platform knows about one VM beyond its listing,
// deleted ones too.
func (c *Client) Metadata(ctx context.Context, id string) (Metadata, error) {
	return call(ctx, c, request{op: "get the VM's metadata", path: "/vm/%s/metadata", id: id}, func(n *warnings, body []byte) (Metadata, error) {
		return readMetadata(n, body, id)
	})
}

// SSHKey returns the private key that opens the VM.
func (c *Client) SSHKey(ctx context.Context, id string) (SSHKey, error) {
	return call(ctx, c, request{op: "get the VM's SSH key", path: "/vm/%s/ssh_key", id: id}, readSSHKey)
}

// Commit takes a snapshot and returns its id. When the server confirms another
// id than r.CommitID, that id comes with an error of KindMismatch. After an
// error with Sent the snapshot may exist all the same: [Client.CommitParents]
// tells.
func (c *Client) Commit(ctx context.Context, id string, r CommitRequest) (string, error) {
	req := request{op: "commit the VM", method: http.MethodPost, path: "/vm/%s/commit", id: id, action: true, query: url.Values{}}
	if r.CommitID != "" && !ValidID(r.CommitID) {
		return "", c.refuse(req, "the commit id is not a valid id")
	}
	if r.KeepPaused {
		req.query.Set("keep_paused", "true")
	}
	req.body = struct { // schema VmCommitRequest
		CommitID    string `json:"commit_id,omitempty"`
		Name        string `json:"name,omitempty"`
		Description string `json:"description,omitempty"`
	}{r.CommitID, r.Name, r.Description}
	return call(ctx, c, req, func(_ *warnings, body []byte) (string, error) { return readCommitID(body, r.CommitID) })
}

// CommitParents returns the commit and its ancestors, the commit itself first.
// KindNotFound means that it does not exist.
func (c *Client) CommitParents(ctx context.Context, commitID string) ([]Commit, error) {
	return call(ctx, c, request{op: "look up the commit", path: "/vm/commits/%s/parents", id: commitID}, func(n *warnings, body []byte) ([]Commit, error) {
		return readParents(n, body, commitID)
	})
}

const (
	commitPageSize = 100 // the most that the API gives at once
	// MaxCommits is how many commits [Client.Commits] lists at most.
	MaxCommits = 10_000
)

type commitPage struct {
	commits        []Commit
	entries, total int
}

// Commits lists the commits of the API key's owner as the API orders them, newest
// first, each once; more says that there are more than MaxCommits. It asks page by
// page: a commit that is made meanwhile may be left out.
func (c *Client) Commits(ctx context.Context) (all []Commit, more bool, err error) {
	all, seen := []Commit{}, map[string]bool{}
	for offset := 0; offset < MaxCommits; {
		req := request{op: "list commits", path: "/commits", query: url.Values{"limit": {strconv.Itoa(commitPageSize)}, "offset": {strconv.Itoa(offset)}}}
		page, err := call(ctx, c, req, readCommitPage)
		if err != nil {
			return nil, false, err
		}
		for _, commit := range page.commits {
			if !seen[commit.ID] {
				seen[commit.ID], all = true, append(all, commit)
			}
		}
		offset += page.entries
		if page.entries == 0 || page.total > 0 && offset >= page.total || page.total <= 0 && page.entries < commitPageSize {
			return all, false, nil
		}
	}
	return all, true, nil
}

// Branch starts count copies of a VM and returns their ids. The server chooses
// the ids, so after an error with Sent the copies may exist all the same, and
// repeating the call may make more of them.
func (c *Client) Branch(ctx context.Context, id string, count int) ([]string, error) {
	req := request{op: "branch the VM", method: http.MethodPost, path: "/vm/%s/branch", id: id, action: true,
		query: url.Values{"count": {strconv.Itoa(count)}}}
	if count < 1 {
		return nil, c.refuse(req, "the count must be at least 1")
	}
	return call(ctx, c, req, func(n *warnings, body []byte) ([]string, error) { return readBranch(n, body, count) })
}

// SetState pauses (StatePaused) or resumes (StateRunning) a VM. Repeating it is
// harmless. The answer says nothing about the state reached; ask Status.
func (c *Client) SetState(ctx context.Context, id string, s State) error {
	req := request{op: "change the VM's state", method: http.MethodPatch, path: "/vm/%s/state", id: id, action: true}
	var wire string // schema VmUpdateStateEnum: capital letters when writing
	switch s {
	case StatePaused:
		wire = "Paused"
	case StateRunning:
		wire = "Running"
	default:
		return c.refuse(req, "only paused and running can be asked for")
	}
	req.body = map[string]string{"state": wire}
	_, err := call(ctx, c, req, readNothing)
	return err
}

// SetLabels gives a VM labels. Whether those that are not named stay is not
// documented: name them all. Repeating it is harmless.
func (c *Client) SetLabels(ctx context.Context, id string, labels map[string]string) error {
	_, err := call(ctx, c, request{op: "label the VM", method: http.MethodPatch, path: "/vm/%s/label", id: id, action: true,
		body: map[string]map[string]string{"labels": labels}}, readNothing)
	return err
}

// State is what a VM does. States the platform may add later are kept as they
// came, in small letters.
type State string

// The states of the published document (schema VmState), and StateUnknown for
// an answer without a readable one.
const (
	StateBooting  State = "booting"
	StateRunning  State = "running"
	StatePaused   State = "paused"
	StateSleeping State = "sleeping"
	StateDead     State = "dead"
	StateUnknown  State = "unknown"
)

// VM is one virtual machine as the platform lists it. ID is always a valid id
// ([ValidID]); OwnerID is one or empty. CreatedAt is the zero time when the
// server sent none that can be read. Labels hold printable text only.
type VM struct {
	ID        string
	OwnerID   string
	CreatedAt time.Time
	State     State
	Labels    map[string]string
}

// Metadata is what the platform knows about one VM beyond [VM].
type Metadata struct {
	IP netip.Addr // inside the platform's network, usually IPv6; the zero Addr when the server sent none
}

// CommitRequest asks for a snapshot. CommitID, chosen by the caller, makes the
// call safe to repeat; when empty the server chooses. Name and Description are
// optional. KeepPaused leaves the VM paused afterwards.
type CommitRequest struct {
	CommitID    string
	Name        string
	Description string
	KeepPaused  bool
}

// Commit is one snapshot. ID is a valid id; ParentVMID is the VM it was taken
// of, and ParentCommitID the commit that VM was started from, each empty when the
// server does not say. Name and Description are printable, on one line; CreatedAt is
// the zero time when the server sent none that can be read.
type Commit struct {
	ID             string
	ParentVMID     string
	ParentCommitID string
	Name           string
	Description    string
	CreatedAt      time.Time
}

// RegistryVM is one entry of the optional VM registry. ID is a valid id; the
// others are printable, on one line.
type RegistryVM struct {
	ID     string
	Name   string
	Role   string
	Status string    // of the VM or its lieutenant, as an orchestrator calls it; may be empty
	Seen   time.Time // when that was true; zero if it does not say
}
