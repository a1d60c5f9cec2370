package sim

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// maxBody bounds the request bodies the API reads.
const maxBody = 8 << 20

// request is one API call on its way through the simulator.
type request struct {
	*http.Request
	endpoint string
	vm       *VM    // nil if unknown or not about a VM
	id       string // the UUID in the path
	handle   func(*Sim, http.ResponseWriter, *request)
}

// route is one path shape: segments of the path where "{id}" stands for a
// UUID and "*" for anything.
type route struct {
	method, path, endpoint string
	handle                 func(*Sim, http.ResponseWriter, *request)
}

// routes are the calls of the published API that are simulated.
func routes() []route {
	return []route{
		{"GET", "vms", "vms", (*Sim).getVMs},
		{"GET", "vm", "vms", (*Sim).getVMs},
		{"GET", "vm/{id}/status", "status", (*Sim).getStatus},
		{"GET", "vm/{id}/metadata", "metadata", (*Sim).getMetadata},
		{"GET", "vm/{id}/ssh_key", "ssh_key", (*Sim).getSSHKey},
		{"POST", "vm/{id}/commit", "commit", (*Sim).postCommit},
		{"GET", "vm/commits/{id}/parents", "parents", (*Sim).getParents},
		{"GET", "commits", "commits", (*Sim).getCommits},
		{"POST", "vm/from_commit", "from_commit", (*Sim).postFromCommit},
		{"POST", "vm/{id}/branch", "branch", (*Sim).postBranch},
		{"PATCH", "vm/{id}/state", "state", (*Sim).patchState},
		{"PATCH", "vm/{id}/label", "label", (*Sim).patchLabel},
		{"DELETE", "vm/{id}", "delete", (*Sim).deleteVM},
	}
}

// endpoints are the names of all calls, in the order of their routes.
func endpoints() []string {
	names := []string{"health"}
	for _, r := range routes() {
		if !slices.Contains(names, r.endpoint) {
			names = append(names, r.endpoint)
		}
	}
	return names
}

// apiHandler serves the REST API below "/" and "/api/v1".
func (s *Sim) apiHandler() http.Handler {
	table := routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, found := s.route(table, r)
		call := Call{Method: r.Method, Path: r.URL.RequestURI(), Endpoint: req.endpoint, AnyKey: r.Header.Get("Authorization") != ""}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		rec := &statusWriter{ResponseWriter: w}
		update := s.calls.add(call)
		defer func() {
			call.Status = rec.status
			update(call)
			s.cfg.Logf("sim: api %s %s: %d %s", call.Method, call.Path, call.Status, call.fault)
		}()
		answer := func(w http.ResponseWriter) { s.answer(w, req, found) }
		s.withFaults(rec, req, &call, answer)
	})
}

// route finds the call that a path means.
func (s *Sim) route(table []route, r *http.Request) (*request, bool) {
	req := &request{Request: r}
	path := strings.TrimPrefix(r.URL.Path, "/api/v1")
	if r.URL.Path == "/health" {
		req.endpoint, req.handle = "health", (*Sim).getHealth
		return req, r.Method == http.MethodGet
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for _, rt := range table {
		id, ok := matchPath(rt.path, segments)
		if !ok {
			continue
		}
		req.endpoint, req.id, req.handle = rt.endpoint, id, rt.handle
		if rt.method == r.Method {
			req.vm = s.vmByID(strings.ToLower(id))
			return req, true
		}
	}
	return req, false
}

// matchPath compares path segments with a pattern and returns the id in it.
func matchPath(pattern string, segments []string) (id string, ok bool) {
	want := strings.Split(pattern, "/")
	if len(want) != len(segments) {
		return "", false
	}
	for i, w := range want {
		if w == "{id}" {
			id = segments[i]
		} else if w != segments[i] {
			return "", false
		}
	}
	return id, true
}

// answer is what the platform does without a fault.
func (s *Sim) answer(w http.ResponseWriter, req *request, found bool) {
	switch {
	case req.handle == nil:
		bare(w, http.StatusNotFound, "")
	case !found:
		bare(w, http.StatusMethodNotAllowed, "")
	case req.endpoint == "health":
		req.handle(s, w, req)
	case !s.validKey(req.Request):
		bare(w, http.StatusForbidden, "403 Forbidden")
	case req.id != "" && !validUUID(req.id):
		bare(w, http.StatusBadRequest, "Invalid URL: Cannot parse `"+req.id+"` to a `Uuid`")
	default:
		req.id = strings.ToLower(req.id)
		req.handle(s, w, req)
	}
}

// validUUID accepts only the canonical form of 36 characters.
func validUUID(id string) bool {
	return len(id) == 36 && uuid.Validate(id) == nil
}

func (s *Sim) validKey(r *http.Request) bool {
	key, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return found && subtle.ConstantTimeCompare([]byte(key), []byte(s.apiKey)) == 1
}

func (s *Sim) getHealth(w http.ResponseWriter, _ *request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// maxCalls bounds the log of a simulator that runs for days.
const maxCalls = 200_000

// Call is one request the API saw.
type Call struct {
	Method, Path string // with query, as asked
	Endpoint     string // one of the names that a Fault can have; "" for none of them
	Status       int    // 0 when the connection was cut or hung
	Trap         bool   // seen by the foreign host of a redirect fault
	AnyKey       bool   // an Authorization header was there at all
	fault        string
}

// callLog remembers the last maxCalls calls.
type callLog struct {
	mu    sync.Mutex
	calls []*Call
}

// add logs a call that has come in; what is learned of it later is told by the
// result. So a client that saw its connection cut finds the call in the log.
func (l *callLog) add(c Call) (update func(Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) >= maxCalls {
		l.calls = slices.Delete(l.calls, 0, maxCalls/10)
	}
	l.calls = append(l.calls, &c)
	return func(now Call) {
		l.mu.Lock()
		defer l.mu.Unlock()
		c = now
	}
}

func (l *callLog) list() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Call, len(l.calls))
	for i, c := range l.calls {
		out[i] = *c
	}
	return out
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = nil
}
