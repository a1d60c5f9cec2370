package cmd

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// front is a proxy before a simulator's API that answers chosen calls with a
// script's own file: what no simulated platform would ever say.
type front struct {
	mu      sync.Mutex
	answers map[string]string // by the last element of the path
	pass    http.Handler
}

// frontKey is where a script keeps its front.
type frontKey struct{}

func startFront(ts *testscript.TestScript, s *sim.Sim) error {
	p, ok := ts.Value(frontKey{}).(**front)
	base, err := url.Parse(s.HostURL())
	if !ok || err != nil {
		return errors.Join(errors.New("no place for a front"), err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }}
	*p = &front{answers: map[string]string{}, pass: proxy}
	server := httptest.NewServer(*p)
	ts.Defer(server.Close)
	ts.Setenv("VERS_FLEET_API_URL", server.URL+"/api/v1")
	return nil
}

func frontAnswer(ts *testscript.TestScript, args []string) error {
	p, ok := ts.Value(frontKey{}).(**front)
	if !ok || *p == nil {
		return errors.New("sim answer needs sim front first")
	}
	(*p).mu.Lock()
	defer (*p).mu.Unlock()
	if args[0] == "off" {
		clear((*p).answers)
		return nil
	}
	(*p).answers[args[0]] = ts.ReadFile(args[1])
	return nil
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	f.mu.Lock()
	body, ok := f.answers[path[strings.LastIndexByte(path, '/')+1:]]
	f.mu.Unlock()
	if !ok {
		f.pass.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body))
}
