package sim

import (
	"fmt"
	"net/http"
)

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

func (s *Sim) postBranch(w http.ResponseWriter, r *request) {
	if r.vm != nil {
		s.postBranchVM(w, r)
		return
	}
	s.postBranchCommit(w, r)
}

func (s *Sim) postBranchVM(w http.ResponseWriter, r *request) {
	if r.vm == nil || !r.vm.deletedAt().IsZero() {
		writeJSON(w, http.StatusNotFound, branchError{VMs: []newVM{}, Error: "vm not found: " + r.id})
		return
	}
	count, ok := s.branchCount(w, r)
	if !ok {
		return
	}
	c, err := s.addCommit(Commit{VM: r.vm.id, Grandparent: r.vm.parent, CreatedAt: s.now()})
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, branchError{VMs: []newVM{}, Error: err.Error()})
		return
	}
	s.answerBranch(w, c, count)
}

func (s *Sim) postBranchCommit(w http.ResponseWriter, r *request) {
	c, found := s.commit(r.id)
	if !found {
		writeJSON(w, http.StatusNotFound, branchError{VMs: []newVM{}, Error: "vm or commit not found: " + r.id})
		return
	}
	if count, ok := s.branchCount(w, r); ok {
		s.answerBranch(w, c, count)
	}
}

func (s *Sim) branchCount(w http.ResponseWriter, r *request) (int, bool) {
	count, ok := queryInt(r, "count", 1)
	if !ok {
		bare(w, http.StatusBadRequest, "Failed to deserialize query string: invalid digit found in string")
		return 0, false
	}
	if count < 1 || count > maxBranch {
		writeJSON(w, http.StatusBadRequest, branchError{VMs: []newVM{}, Error: fmt.Sprintf("count must be between 1 and %d", maxBranch)})
		return 0, false
	}
	return count, true
}

func (s *Sim) answerBranch(w http.ResponseWriter, c Commit, count int) {
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

func (s *Sim) postNewRoot(w http.ResponseWriter, r *request) {
	var body struct {
		VMConfig *struct {
			Labels map[string]string `json:"labels"`
		} `json:"vm_config"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	if body.VMConfig == nil {
		plainText(w, http.StatusUnprocessableEntity, "Failed to deserialize the JSON body into the target type: missing field `vm_config`")
		return
	}
	vm := s.create(&VM{image: "base", kind: "support", created: s.now(), labels: body.VMConfig.Labels})
	writeJSON(w, http.StatusCreated, newVM{VMID: vm.id})
}
