package fleettest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Reply is one answer of the API on its way to the client.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Front stands between the machine and the simulator and may say what it
// likes. It is the world's API from its first call on.
type Front struct {
	mu sync.Mutex
	// before answers in the API's place when it returns a reply; after changes
	// the API's own.
	before func(r *http.Request) *Reply
	after  func(r *http.Request, a *Reply)
}

// Set says what the Front answers itself, and what it changes; either may be nil.
func (f *Front) Set(before func(*http.Request) *Reply, after func(*http.Request, *Reply)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

// NewFront puts a front before the world's API. It sends the simulator's own
// API key, whatever the client sent.
func NewFront(w *World) *Front {
	w.T.Helper()
	f := &Front{}
	target, key := strings.TrimSuffix(w.Sim.BaseURL(), "/api/v1"), w.Sim.APIKey()
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
		a, err := Forward(in, target, key)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if after != nil {
			after(in, a)
		}
		a.write(out)
	}))
	w.T.Cleanup(s.Close)
	w.Options.API.BaseURL = s.URL + "/api/v1"
	return f
}

// Forward puts a request to the simulated API itself, whoever took it.
func Forward(in *http.Request, target, key string) (*Reply, error) {
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
	return &Reply{Status: resp.StatusCode, Header: http.Header{"Content-Type": resp.Header["Content-Type"]}, Body: answer}, err
}

func (a *Reply) write(out http.ResponseWriter) {
	for k, v := range a.Header {
		out.Header()[k] = v
	}
	out.WriteHeader(a.Status)
	_, _ = out.Write(a.Body)
}
