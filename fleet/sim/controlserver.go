package sim

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

// controlHandler serves the steering calls below the secret path, and plays
// the foreign host of the redirect faults everywhere else.
func (s *Sim) controlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, fn func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			out, err := fn(r)
			if err != nil {
				writeJSON(w, http.StatusBadRequest, controlError{Error: err.Error()})
				return
			}
			writeJSON(w, http.StatusOK, out)
		})
	}
	done := struct{}{}
	handle("GET /state", func(*http.Request) (any, error) { return s.status(), nil })
	handle("POST /faults", given(s.SetFault))
	handle("POST /deed", s.onVM(func(vm *VM, r vmRequest) error { return s.Deed(vm.id, r.Deed) }))
	handle("POST /delete", s.onVM(func(vm *VM, _ vmRequest) error { return vm.Delete() }))
	handle("POST /vm-state", s.onVM(func(vm *VM, r vmRequest) error { return vm.SetState(r.State) }))
	handle("POST /rotate-key", s.onVM(func(vm *VM, _ vmRequest) error { return vm.RotateKey() }))
	handle("POST /rotate-host-key", s.onVM(func(vm *VM, _ vmRequest) error { return vm.RotateHostKey() }))
	handle("POST /names", given(s.WriteNames))
	handle("POST /cut", func(*http.Request) (any, error) { s.CutConnections(); return done, nil })
	handle("POST /stop", func(*http.Request) (any, error) {
		time.AfterFunc(50*time.Millisecond, func() { _ = s.Close() }) // after this answer is out
		return done, nil
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.Path, "/"+s.token+"/")
		if !found {
			s.trap(w, r)
			return
		}
		r.URL.Path = "/" + rest
		mux.ServeHTTP(w, r)
	})
}

// given wraps a steering call that takes one value.
func given[T any](fn func(T) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var value T
		if err := decode(r, &value); err != nil {
			return nil, err
		}
		return struct{}{}, fn(value)
	}
}

// onVM wraps a steering call about one VM.
func (s *Sim) onVM(fn func(*VM, vmRequest) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var body vmRequest
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		vm := s.VM(body.VM)
		if vm == nil {
			return nil, fmt.Errorf("no VM %q in the simulator", body.VM)
		}
		return struct{}{}, fn(vm, body)
	}
}

func decode(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// status tells what is simulated at this moment.
func (s *Sim) status() Status {
	st := Status{BaseURL: s.BaseURL(), Gateway: s.Gateway(), CAFile: s.CAFile(), Dir: s.dir,
		Faults: s.faults.list(), Commits: s.Commits(), Calls: len(s.Calls()), VMs: []vmStatus{}}
	for _, vm := range s.VMs() {
		st.VMs = append(st.VMs, vmStatus{ID: vm.id, Name: vm.Name(), Role: vm.role(), State: vm.State(),
			Labels: vm.allLabels(), Busy: vm.atWork()})
	}
	return st
}

// trapURL is where the redirect faults lead: another host name, another port.
func (s *Sim) trapURL(path string) string {
	_, port, _ := net.SplitHostPort(s.control.addr()) // an address of our own
	return "http://localhost:" + port + "/trap" + path
}

// trap records a call that followed a redirect to a foreign host.
func (s *Sim) trap(w http.ResponseWriter, r *http.Request) {
	s.calls.add(Call{Method: r.Method, Path: r.URL.RequestURI(), Status: http.StatusOK,
		Trap: true, AnyKey: r.Header.Get("Authorization") != ""})
	writeJSON(w, http.StatusOK, []vmBody{})
}

// httpListener is an HTTP server with its socket.
type httpListener struct {
	server   *http.Server
	listener net.Listener
}

func listenHTTP(addr string, handler http.Handler, tlsConfig *tls.Config) (*httpListener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	h := &httpListener{listener: l, server: &http.Server{
		Handler:  handler,
		ErrorLog: log.New(io.Discard, "", 0), // cut connections are this server's trade
	}}
	if tlsConfig != nil {
		l = tls.NewListener(l, tlsConfig)
	}
	go func() { _ = h.server.Serve(l) }() // ends with close
	return h, nil
}

func (h *httpListener) addr() string { return h.listener.Addr().String() }

func (h *httpListener) close() error {
	if h == nil {
		return nil
	}
	return h.server.Close()
}
