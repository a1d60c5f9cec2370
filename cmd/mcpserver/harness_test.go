package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// describe tells errors as cmd does, as far as these tests look.
func describe(err error) ui.ErrorView {
	var e *problem.Error
	if !errors.As(err, &e) {
		return ui.ErrorView{Kind: "unexpected", Message: err.Error(), Origin: "local", ExitCode: 1}
	}
	return ui.ErrorView{Kind: string(e.Kind), Message: e.What, Why: e.Why, Next: e.Next, Origin: string(e.Origin), Retryable: e.Retryable}
}

// message is one line of the server.
type message struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      *int            `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// peer is a client that takes every line of the server for what it is.
type peer struct {
	t     *testing.T
	in    io.WriteCloser
	mu    sync.Mutex
	next  int
	wait  map[int]chan message
	heard []message // notifications
	lines []string  // all of them
	done  chan error
}

// result is what a tool answers.
type result struct {
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	Structured map[string]any `json:"structuredContent"`
	IsError    bool           `json:"isError"`
	raw        json.RawMessage
}

func testOptions(t *testing.T, f *fleet.Fleet) Options {
	return Options{Version: "test", Root: filepath.Join(t.TempDir(), "root"), Describe: describe, Fleet: func() (*fleet.Fleet, error) { return f, nil }}
}

// start speaks to a server over a pair of pipes.
func start(t *testing.T, o Options) *peer {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return startServer(t, s)
}

func startServer(t *testing.T, s *Server) *peer {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	p := &peer{t: t, in: inW, wait: map[int]chan message{}, done: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		err := s.Serve(ctx, inR, outW)
		_ = outW.Close()
		p.done <- err
	}()
	read := make(chan struct{})
	go func() { defer close(read); p.read(outR) }()
	t.Cleanup(func() {
		_ = inW.Close()
		<-p.done
		stop()
		<-read
	})
	p.send(map[string]any{"jsonrpc": "2.0", "id": p.id(), "method": "initialize", "params": map[string]any{
		"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "t", "version": "1"}}})
	p.receive(1)
	p.send(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
	return p
}

// id is that of the next request, and has its answer awaited.
func (p *peer) id() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	p.wait[p.next] = make(chan message, 1)
	return p.next
}

func (p *peer) send(v any) {
	p.t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		_, err = p.in.Write(append(data, '\n'))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.JSONRPC != "2.0" {
			p.t.Errorf("no message of the protocol: %.200q", lines.Text())
		}
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		if m.ID != nil && m.Method == "" {
			if c := p.wait[*m.ID]; c != nil {
				c <- m
			}
		} else {
			p.heard = append(p.heard, m)
		}
		p.mu.Unlock()
	}
}

func (p *peer) receive(id int) message {
	p.mu.Lock()
	c := p.wait[id]
	p.mu.Unlock()
	return <-c
}

// ask sends a request and returns its answer.
func (p *peer) ask(method string, params any) message {
	p.t.Helper()
	id := p.id()
	p.send(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	return p.receive(id)
}

// call calls a tool.
func (p *peer) call(name string, args any) result {
	p.t.Helper()
	m := p.ask("tools/call", map[string]any{"name": name, "arguments": args, "_meta": map[string]any{"progressToken": name}})
	if m.Error != nil {
		p.t.Fatalf("%s: %s", name, m.Error.Message)
	}
	r := result{raw: m.Result}
	if err := json.Unmarshal(m.Result, &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// ok is call that must not fail.
func (p *peer) ok(name string, args map[string]any) map[string]any {
	p.t.Helper()
	r := p.call(name, args)
	if r.IsError {
		p.t.Fatalf("%s %v: %v", name, args, r.Structured["error"])
	}
	return r.Structured
}

// kind is the kind of error that a call ends with.
func (p *peer) kind(name string, args map[string]any) string {
	p.t.Helper()
	r := p.call(name, args)
	e, _ := r.Structured["error"].(map[string]any)
	if !r.IsError || e == nil {
		p.t.Fatalf("%s %v is no error: %v", name, args, r.Structured)
	}
	return e["kind"].(string)
}

// world is a platform, and a server on a machine that knows its fleet.
func world(t *testing.T) (*fleettest.World, *peer) {
	t.Helper()
	w := fleettest.New(t, 6)
	fleettest.RecordAll(t, w)
	return w, start(t, testOptions(t, w.Open()))
}
