package sim

import "net/http"

// vmBody is a VM in the API's lists.
type vmBody struct {
	VMID      string            `json:"vm_id"`
	OwnerID   string            `json:"owner_id"`
	CreatedAt string            `json:"created_at"`
	State     string            `json:"state"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// metadataBody is the answer of the metadata call.
type metadataBody struct {
	VMID           string  `json:"vm_id"`
	OwnerID        string  `json:"owner_id"`
	CreatedAt      string  `json:"created_at"`
	DeletedAt      *string `json:"deleted_at"`
	State          string  `json:"state"`
	IP             string  `json:"ip"`
	ParentCommitID *string `json:"parent_commit_id"`
	GrandparentVM  *string `json:"grandparent_vm_id"`
}

// keyBody is the answer of the ssh_key call.
type keyBody struct {
	SSHPrivateKey string `json:"ssh_private_key"`
	SSHPort       int    `json:"ssh_port"`
}

func (vm *VM) body() vmBody {
	return vmBody{VMID: vm.id, OwnerID: vm.sim.owner, CreatedAt: apiTime(vm.created), State: vm.State(), Labels: vm.allLabels()}
}

func (s *Sim) getVMs(w http.ResponseWriter, _ *request) {
	list := []vmBody{}
	for _, vm := range s.VMs() {
		list = append(list, vm.body())
	}
	writeJSON(w, http.StatusOK, list)
}

// known answers 404 unless the request is about a VM that exists.
func known(w http.ResponseWriter, r *request) bool {
	if r.vm != nil && r.vm.deletedAt().IsZero() {
		return true
	}
	writeError(w, http.StatusNotFound, "vm not found: "+r.id)
	return false
}

func (s *Sim) getStatus(w http.ResponseWriter, r *request) {
	if known(w, r) {
		writeJSON(w, http.StatusOK, r.vm.body())
	}
}

func (s *Sim) getMetadata(w http.ResponseWriter, r *request) {
	if r.vm == nil {
		writeError(w, http.StatusNotFound, "vm not found: "+r.id)
		return
	}
	ip, _ := r.vm.address()
	body := metadataBody{VMID: r.vm.id, OwnerID: s.owner, CreatedAt: apiTime(r.vm.created), State: r.vm.State(), IP: ip,
		ParentCommitID: optional(r.vm.parent), GrandparentVM: optional(r.vm.grandVM)}
	if at := r.vm.deletedAt(); !at.IsZero() {
		body.DeletedAt = optional(apiTime(at))
	}
	writeJSON(w, http.StatusOK, body)
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// address is where the VM's SSH port is inside the platform's network. Seen
// from outside a real one does not answer, which would cost each rehearsal
// seconds: this one refuses at once.
func (vm *VM) address() (ip string, port int) {
	return "::1", 20000 + vm.index%10000 // below the ports that systems hand out
}

func (s *Sim) getSSHKey(w http.ResponseWriter, r *request) {
	if !known(w, r) {
		return
	}
	key, err := r.vm.keyPair()
	if err != nil {
		writeError(w, http.StatusInternalServerError, "key could not be read")
		return
	}
	_, port := r.vm.address()
	writeJSON(w, http.StatusOK, keyBody{SSHPrivateKey: string(key.pem), SSHPort: port})
}

func (s *Sim) patchState(w http.ResponseWriter, r *request) {
	var body struct {
		State string `json:"state"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	states := map[string]string{"Paused": StatePaused, "Running": StateRunning}
	state, ok := states[body.State]
	if !ok {
		plainText(w, http.StatusUnprocessableEntity, "Failed to deserialize the JSON body into the target type: "+
			"state: unknown variant, expected `Paused` or `Running`")
		return
	}
	if !known(w, r) {
		return
	}
	if err := r.vm.SetState(state); err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header()["Content-Type"] = nil
	w.WriteHeader(http.StatusOK)
}

func (s *Sim) patchLabel(w http.ResponseWriter, r *request) {
	var body struct {
		Labels map[string]string `json:"labels"`
	}
	if !readJSON(w, r, &body) || !known(w, r) {
		return
	}
	if body.Labels == nil {
		plainText(w, http.StatusUnprocessableEntity, "Failed to deserialize the JSON body into the target type: missing field `labels`")
		return
	}
	r.vm.SetLabels(body.Labels)
	w.Header()["Content-Type"] = nil
	w.WriteHeader(http.StatusOK)
}

func (s *Sim) deleteVM(w http.ResponseWriter, r *request) {
	if r.vm == nil || !r.vm.deletedAt().IsZero() {
		writeError(w, http.StatusForbidden, "forbidden: vm "+r.id)
		return
	}
	if err := r.vm.Delete(); err != nil {
		writeError(w, http.StatusInternalServerError, "vm could not be deleted")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"vm_id": r.id})
}

// Delete removes the VM, its connections and its files, as the API does.
func (vm *VM) Delete() error {
	if err := vm.SetState(StateDead); err != nil {
		return err
	}
	vm.mu.Lock()
	vm.deleted = vm.sim.now()
	vm.mu.Unlock()
	err := vm.shutdown()
	if err != nil {
		return err
	}
	return removeAll(vm.folder())
}
