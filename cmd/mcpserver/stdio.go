package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Serve speaks the protocol over a pair of streams, one JSON object a line, until
// the client goes away or ctx ends. Of these only the latter is an error: ctx's.
func (s *Server) Serve(ctx context.Context, in io.ReadCloser, out io.WriteCloser) error {
	io := &stdio{in: in, out: out, ctx: ctx, settled: make(chan struct{}, 1)}
	err := s.mcp.Run(ctx, &mcp.IOTransport{Reader: io, Writer: io, MaxLineLength: maxMessage})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// maxMessage bounds one message of a client, bytes: vm_write_file is the longest.
const maxMessage = 4 << 20

// grace is how long requests are still answered after the client has closed its
// side, as a pipe of a shell does.
const grace = 10 * time.Second

// stdio are the streams of a client. The library drops what is not answered yet when
// a client closes its side, so the end is told late: when all is answered.
type stdio struct {
	in      io.ReadCloser
	out     io.WriteCloser
	ctx     context.Context
	settled chan struct{} // something was answered

	once sync.Once
	mu   sync.Mutex
	part []byte // of a line that was read
	open int    // requests without an answer
}

// Read implements io.Reader.
func (s *stdio) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	s.mu.Lock()
	s.part = append(s.part, p[:n]...)
	for {
		line, rest, whole := bytes.Cut(s.part, []byte("\n"))
		if !whole && (err == nil || len(line) == 0) {
			break
		}
		if method, id := kindOf(line); method && id {
			s.open++
		}
		s.part = rest
	}
	if len(s.part) > maxMessage { // the library refuses it
		s.part = nil
	}
	s.mu.Unlock()
	if errors.Is(err, io.EOF) && n == 0 {
		s.wait()
	}
	return n, err
}

// wait returns when all is answered, or takes too long.
func (s *stdio) wait() {
	late := time.NewTimer(grace)
	defer late.Stop()
	for {
		s.mu.Lock()
		open := s.open
		s.mu.Unlock()
		if open <= 0 {
			return
		}
		select {
		case <-s.settled:
		case <-late.C:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// Write implements io.Writer; the library writes a message at a time.
func (s *stdio) Write(p []byte) (int, error) {
	n, err := s.out.Write(p)
	if method, id := kindOf(p); !method && id {
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
		select {
		case s.settled <- struct{}{}:
		default:
		}
	}
	return n, err
}

// Close closes both streams, when it is called first; the library calls it for each.
func (s *stdio) Close() (err error) {
	s.once.Do(func() { err = errors.Join(s.in.Close(), s.out.Close()) })
	return err
}

// kindOf tells whether a message has a method and an id.
func kindOf(line []byte) (method, id bool) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(line, &m) != nil {
		return false, false
	}
	return m.Method != "", len(m.ID) > 0 && string(m.ID) != "null"
}
