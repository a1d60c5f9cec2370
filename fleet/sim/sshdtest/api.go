package sshdtest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// API answers the few calls that hand out VMs and their keys, for stories that
// run against real sshd. The whole platform is package sim. Safe for
// concurrent use.
type API struct {
	// URL is the base URL once Listen was called; Key is the bearer token.
	URL, Key string

	mu     sync.Mutex // guards what follows
	vms    []*Server
	states map[string]string
	labels map[string]map[string]string
	down   bool
	direct bool
	calls  []string
	server *http.Server
	made   time.Time
}

// ownerID is the owner of every VM here, and the first part of the API key.
const ownerID = "0b7f3a52-6c1d-4f0e-9d52-2f4c7a9be001"

// nowhere is a loopback address on which no sshd listens.
const nowhere = "127.255.255.254"

// NewAPI serves the given VMs; each is running and labelled with its name.
func NewAPI(vms ...*Server) *API {
	a := &API{
		Key: ownerID + strings.Repeat("5e", 32), vms: vms, made: time.Now().Add(-time.Hour).UTC(),
		states: map[string]string{}, labels: map[string]map[string]string{},
	}
	for _, vm := range vms {
		a.states[vm.VMID] = "running"
		a.labels[vm.VMID] = map[string]string{"name": vm.Name}
	}
	return a
}

// SetDown makes every call answer 503 as in the outage of 2026-02-24, without
// Retry-After and without JSON.
func (a *API) SetDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// SetDirect chooses whether the address and port that the API tells lead to
// the VM's sshd, past the gateway. They do not at first, as for most people
// outside the platform's network: an attempt is refused.
func (a *API) SetDirect(direct bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.direct = direct
}

// SetState changes the state that the API reports, and nothing else.
func (a *API) SetState(id, state string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.states[id] = state
}

// SetLabels replaces the labels of a VM.
func (a *API) SetLabels(id string, labels map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.labels[id] = labels
}

// Calls lists the requests so far as "METHOD /path", oldest first.
func (a *API) Calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.calls...)
}

// Listen serves the API on loopback until Close and sets URL.
func (a *API) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.URL = "http://" + l.Addr().String()
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.server.Serve(l) }() // returns when Close is called
	return nil
}

// Close stops listening and cuts every connection.
func (a *API) Close() {
	if a.server != nil {
		a.server.Close()
	}
}

// ServeHTTP answers one call with the status codes and bodies of the live service.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, r.Method+" "+r.URL.Path)
	switch {
	case a.down:
		plain(w, http.StatusServiceUnavailable, "503 Service Unavailable")
	case r.URL.Path == "/health":
		plain(w, http.StatusOK, "ok")
	case r.Header.Get("Authorization") != "Bearer "+a.Key:
		plain(w, http.StatusForbidden, "403 Forbidden")
	case r.Method != http.MethodGet:
		answer(w, http.StatusMethodNotAllowed, refusal("method not allowed"))
	case r.URL.Path == "/vms" || r.URL.Path == "/vm":
		list := make([]any, 0, len(a.vms))
		for _, vm := range a.vms {
			list = append(list, a.describe(vm))
		}
		answer(w, http.StatusOK, list)
	default:
		a.serveVM(w, r)
	}
}

func (a *API) serveVM(w http.ResponseWriter, r *http.Request) {
	id, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/vm/"), "/")
	var vm *Server
	for _, candidate := range a.vms {
		if candidate.VMID == id {
			vm = candidate
		}
	}
	switch {
	case vm == nil:
		answer(w, http.StatusNotFound, refusal("VM not found"))
	case what == "status":
		answer(w, http.StatusOK, a.describe(vm))
	case what == "metadata":
		body := a.describe(vm)
		delete(body, "labels")
		if body["ip"] = nowhere; a.direct {
			body["ip"] = "127.0.0.1"
		}
		answer(w, http.StatusOK, body)
	case what == "ssh_key":
		answer(w, http.StatusOK, map[string]any{"ssh_private_key": string(vm.ClientKey), "ssh_port": port(vm.Addr)})
	default:
		answer(w, http.StatusNotFound, refusal("not found"))
	}
}

func (a *API) describe(vm *Server) map[string]any {
	return map[string]any{
		"vm_id": vm.VMID, "owner_id": ownerID, "created_at": a.made.Format(time.RFC3339),
		"state": a.states[vm.VMID], "labels": a.labels[vm.VMID],
	}
}

func port(addr string) int {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return 0
	}
	return tcp.Port
}

func refusal(text string) map[string]any { return map[string]any{"error": text, "success": false} }

// plain answers without a content type, as the live service does.
func plain(w http.ResponseWriter, status int, text string) {
	w.Header()["Content-Type"] = nil
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left is not our error
}
