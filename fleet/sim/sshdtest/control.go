package sshdtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// HostKey returns the server's first host key as "type base64".
func (s *Server) HostKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hostKeys[0]
}

// HostKeys returns every host key as "type base64", in configuration order.
func (s *Server) HostKeys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.hostKeys...)
}

// Log returns what sshd has logged so far.
func (s *Server) Log() string {
	raw, err := os.ReadFile(s.logPath())
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return string(bytes.ToValidUTF8(raw, []byte("?")))
}

// Logins counts the public-key logins that sshd accepted.
func (s *Server) Logins() int { return strings.Count(s.Log(), "Accepted publickey for") }

// DirectLogins counts the logins that reached sshd around the gateway.
func (s *Server) DirectLogins() int {
	count := 0
	for line := range strings.Lines(s.Log()) {
		if !strings.Contains(line, "Accepted publickey for") {
			continue
		}
		// Accepted publickey for root from 127.0.0.1 port 47758 ssh2: ...
		_, rest, _ := strings.Cut(line, " port ")
		port, _, _ := strings.Cut(rest, " ")
		if !s.Gateway.cameFrom(port) {
			count++
		}
	}
	return count
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "sshd.log") }

// HostPath tells where a path that sessions see lies for the test process.
func (s *Server) HostPath(remote string) string {
	for seen, host := range map[string]string{s.Home: s.HomeDir, "/tmp": s.TmpDir} {
		if rest, ok := strings.CutPrefix(remote, seen); ok && host != "" && (rest == "" || rest[0] == '/') {
			return host + rest
		}
	}
	return remote
}

// Stop ends sshd, every session, and the gateway if it is the server's own,
// and removes what Launch created. Calling it again does nothing.
func (s *Server) Stop() { s.stopped.Do(s.stop) }

func (s *Server) stop() {
	if s.Gateway != nil {
		s.Gateway.Route(s.ServerName, "")
		if s.ownGateway {
			s.Gateway.Close()
		}
	}
	s.halt()
	if s.ownDir {
		os.RemoveAll(s.dir)
	}
}

func (s *Server) halt() {
	s.mu.Lock()
	proc := s.proc
	s.proc = nil
	s.mu.Unlock()
	if proc != nil {
		proc.stop()
	}
}

// DropSessions kills every session as a crashing VM would, but leaves sshd
// listening.
func (s *Server) DropSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		killAll(descendants(s.proc.pid))
	}
}

// Pause ends sshd and its sessions, as pausing a VM does; Restart brings it back.
func (s *Server) Pause() { s.halt() }

// Restart ends sshd and its sessions and starts it again on the same address.
func (s *Server) Restart(ctx context.Context) error {
	s.halt()
	return s.start(ctx, s.Addr)
}

// RotateHostKey gives the server new host keys and restarts it, as a VM that
// was replaced by another would look.
func (s *Server) RotateHostKey(ctx context.Context) error {
	if err := s.makeHostKeys(); err != nil {
		return err
	}
	return s.Restart(ctx)
}
