package sshd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func (s *Server) logPath() string { return filepath.Join(s.opt.Dir, "sshd.log") }

// Log returns what sshd has logged so far.
func (s *Server) Log() string {
	raw, err := os.ReadFile(s.logPath())
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return string(bytes.ToValidUTF8(raw, []byte("?")))
}

// Logins counts the public-key logins that sshd accepted, and how many of them
// reached it other than through Dial.
func (s *Server) Logins() (all, direct int) {
	for line := range strings.Lines(s.Log()) {
		if !strings.Contains(line, "Accepted publickey for") {
			continue
		}
		// Accepted publickey for root from 127.0.0.1 port 47758 ssh2: ...
		_, rest, _ := strings.Cut(line, " port ")
		port, _, _ := strings.Cut(rest, " ")
		all++
		if !s.dialled(port) {
			direct++
		}
	}
	return all, direct
}
