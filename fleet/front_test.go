package fleet_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// reply is one answer of the API on its way to the client.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// front stands between the machine and the simulator and may say what it
// likes. It is the world's API from its first call on.
type front struct {
	mu sync.Mutex
	// before answers in the API's place when it returns a reply; after changes
	// the API's own.
	before func(r *http.Request) *reply
	after  func(r *http.Request, a *reply)
}

func (f *front) set(before func(*http.Request) *reply, after func(*http.Request, *reply)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

// newFront puts a front before the world's API. It sends the simulator's own
// API key, whatever the client sent.
func newFront(w *world) *front {
	w.t.Helper()
	f := &front{}
	target, key := strings.TrimSuffix(w.sim.BaseURL(), "/api/v1"), w.sim.APIKey()
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		f.mu.Lock()
		before, after := f.before, f.after
		f.mu.Unlock()
		if before != nil {
			if a := before(in); a != nil {
				a.write(out)
				return
			}
		}
		a, err := forward(in, target, key)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if after != nil {
			after(in, a)
		}
		a.write(out)
	}))
	w.t.Cleanup(s.Close)
	w.o.API.BaseURL = s.URL + "/api/v1"
	return f
}

func forward(in *http.Request, target, key string) (*reply, error) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(in.Context(), in.Method, target+in.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = in.Header.Clone()
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return &reply{status: resp.StatusCode, header: http.Header{"Content-Type": resp.Header["Content-Type"]}, body: answer}, err
}

func (a *reply) write(out http.ResponseWriter) {
	for k, v := range a.header {
		out.Header()[k] = v
	}
	out.WriteHeader(a.status)
	_, _ = out.Write(a.body)
}
