package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Commit is one snapshot.
type Commit struct {
	ID          string    `json:"commit_id"`
	VM          string    `json:"parent_vm_id"`
	Grandparent string    `json:"grandparent_commit_id,omitempty"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	KeptPaused  bool      `json:"kept_paused,omitempty"`
}

// commitBody is a commit in the API's answers. The list says commit_id where
// the parents call says id.
type commitBody struct {
	CommitID    string  `json:"commit_id,omitempty"`
	ID          string  `json:"id,omitempty"`
	OwnerID     string  `json:"owner_id"`
	Name        string  `json:"name"`
	Description *string `json:"description"`
	CreatedAt   string  `json:"created_at"`
	IsPublic    bool    `json:"is_public"`
	ParentVM    *string `json:"parent_vm_id"`
	Grandparent *string `json:"grandparent_commit_id"`
}

func (s *Sim) commitBody(c Commit) commitBody {
	return commitBody{OwnerID: s.owner, Name: c.Name, Description: optional(c.Description),
		CreatedAt: apiTime(c.CreatedAt), ParentVM: optional(c.VM), Grandparent: optional(c.Grandparent)}
}

// postCommit makes exactly one snapshot per commit id.
func (s *Sim) postCommit(w http.ResponseWriter, r *request) {
	var body struct {
		CommitID    *string `json:"commit_id"`
		Name        *string `json:"name"`
		Description *string `json:"description"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	if body.CommitID != nil && !validUUID(*body.CommitID) {
		plainText(w, http.StatusUnprocessableEntity, "Failed to deserialize the JSON body into the target type: "+
			"commit_id: UUID parsing failed")
		return
	}
	if !known(w, r) {
		return
	}
	c := Commit{VM: r.vm.id, Grandparent: r.vm.parent, CreatedAt: s.now()}
	if body.Name != nil {
		c.Name = *body.Name
	}
	if body.Description != nil {
		c.Description = *body.Description
	}
	if body.CommitID != nil {
		c.ID = strings.ToLower(*body.CommitID)
	}
	c.KeptPaused = r.URL.Query().Get("keep_paused") == "true"
	c, err := s.addCommit(c)
	if err != nil {
		writeError(w, http.StatusConflict, err.Error())
		return
	}
	if c.KeptPaused {
		_ = r.vm.SetState(StatePaused) // a known state
	}
	writeJSON(w, http.StatusCreated, map[string]string{"commit_id": c.ID})
}

// addCommit records a snapshot, or fails if its id is taken.
func (s *Sim) addCommit(c Commit) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ID == "" {
		c.ID = s.uuid(fmt.Sprintf("commit %d", len(s.commits)))
	}
	if c.Name == "" {
		c.Name = "commit-" + firstN(c.ID, 8)
	}
	if _, taken := s.byCommit[c.ID]; taken {
		return c, fmt.Errorf("commit %s already exists", c.ID)
	}
	s.byCommit[c.ID] = len(s.commits)
	s.commits = append(s.commits, c)
	return c, nil
}

func (s *Sim) commit(id string) (Commit, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.byCommit[id]
	if !found {
		return Commit{}, false
	}
	return s.commits[i], true
}

func (s *Sim) getParents(w http.ResponseWriter, r *request) {
	list := []commitBody{}
	for id := r.id; id != ""; {
		c, found := s.commit(id)
		if !found {
			break
		}
		body := s.commitBody(c)
		body.ID = c.ID
		list = append(list, body)
		id = c.Grandparent
	}
	if len(list) == 0 {
		writeError(w, http.StatusNotFound, "commit not found: "+r.id)
		return
	}
	writeJSON(w, http.StatusOK, list)
}

func (s *Sim) getCommits(w http.ResponseWriter, r *request) {
	limit, okLimit := queryInt(r, "limit", 50)
	offset, okOffset := queryInt(r, "offset", 0)
	if !okLimit || !okOffset {
		bare(w, http.StatusBadRequest, "Failed to deserialize query string: invalid digit found in string")
		return
	}
	limit = min(limit, 100)
	all := s.Commits()
	slices.Reverse(all) // newest first
	total := len(all)
	list := []commitBody{}
	for _, c := range all[min(offset, total):min(offset+limit, total)] {
		body := s.commitBody(c)
		body.CommitID = c.ID
		list = append(list, body)
	}
	writeJSON(w, http.StatusOK, map[string]any{"commits": list, "total": total, "limit": limit, "offset": offset})
}

// queryInt reads a number from the query string.
func queryInt(r *request, name string, fallback int) (int, bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= 1<<31
}

// maxBranch bounds how many VMs one call may make.
const maxBranch = 100

// branchError is the hybrid body of failed branch calls.
type branchError struct {
	VMs   []newVM `json:"vms"`
	Error string  `json:"error"`
}

type newVM struct {
	VMID string `json:"vm_id"`
}

// postBranch makes VMs of a VM as it is now, or of a commit.
func (s *Sim) postBranch(w http.ResponseWriter, r *request) {
	c, found := s.commit(r.id)
	if !found && (r.vm == nil || !r.vm.deletedAt().IsZero()) {
		writeJSON(w, http.StatusNotFound, branchError{VMs: []newVM{}, Error: "vm or commit not found: " + r.id})
		return
	}
	count, ok := queryInt(r, "count", 1)
	if !ok {
		bare(w, http.StatusBadRequest, "Failed to deserialize query string: invalid digit found in string")
		return
	}
	if count < 1 || count > maxBranch {
		writeJSON(w, http.StatusBadRequest, branchError{VMs: []newVM{}, Error: fmt.Sprintf("count must be between 1 and %d", maxBranch)})
		return
	}
	if !found {
		var err error
		if c, err = s.addCommit(Commit{VM: r.vm.id, Grandparent: r.vm.parent, CreatedAt: s.now()}); err != nil {
			writeJSON(w, http.StatusInternalServerError, branchError{VMs: []newVM{}, Error: err.Error()})
			return
		}
	}
	list := make([]newVM, 0, count)
	for range count {
		list = append(list, newVM{VMID: s.restore(c).id})
	}
	writeJSON(w, http.StatusCreated, map[string][]newVM{"vms": list})
}

// restore makes a VM from a commit. It has its parent's host key, a login key
// of its own, no name, and on first use a copy of its parent's files.
func (s *Sim) restore(c Commit) *VM {
	vm := &VM{image: "base", kind: "support", created: s.now(), parent: c.ID, grandVM: c.VM}
	if parent := s.vmByID(c.VM); parent != nil {
		vm.image, vm.kind = parent.image, parent.kind
	}
	return s.create(vm)
}

// create registers a VM under an id that no other has.
func (s *Sim) create(vm *VM) *VM {
	s.creating.Lock()
	defer s.creating.Unlock()
	s.mu.Lock()
	n := len(s.order)
	s.mu.Unlock()
	for vm.id = ""; vm.id == ""; n++ {
		if id := s.uuid(fmt.Sprintf("vm %d", n)); s.vmByID(id) == nil {
			vm.id = id
		}
	}
	s.addVM(vm)
	return vm
}

func (s *Sim) postFromCommit(w http.ResponseWriter, r *request) {
	var body struct {
		CommitID *string `json:"commit_id"`
		TagName  *string `json:"tag_name"`
		Ref      *string `json:"ref"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	given := 0
	for _, field := range []*string{body.CommitID, body.TagName, body.Ref} {
		if field != nil {
			given++
		}
	}
	if given != 1 || (body.CommitID != nil && !validUUID(*body.CommitID)) {
		plainText(w, http.StatusUnprocessableEntity, "Failed to deserialize the JSON body into the target type: "+
			"data did not match any variant of untagged enum FromCommitVmRequest")
		return
	}
	if body.CommitID == nil {
		writeError(w, http.StatusNotFound, "tag not found")
		return
	}
	c, found := s.commit(*body.CommitID)
	if !found {
		writeError(w, http.StatusNotFound, "commit not found: "+*body.CommitID)
		return
	}
	writeJSON(w, http.StatusCreated, newVM{VMID: s.restore(c).id})
}
