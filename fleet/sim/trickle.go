package sim

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"time"
)

// The stages of a connection from which on a VM may say next to nothing.
const (
	stageTLS   = "tls"
	stageKEX   = "kex"
	stageLogin = "login"
)

func stages() []string { return []string{stageTLS, stageKEX, stageLogin} }

// trickleEvery is how long a trickling VM takes over a byte: often enough that no
// limit on silence ever ends it.
const trickleEvery = 3 * time.Second

// slowFrom makes what the client is sent trickle from a stage on.
func (m *meteredConn) slowFrom(stage string) {
	m.from = stage
	m.reached(stageTLS)
}

// reached says that a connection has come to a stage.
func (m *meteredConn) reached(stage string) {
	if m.from == stage {
		m.slow.Store(true)
	}
}

// trickle writes a byte now and then until the client has had enough.
func (m *meteredConn) trickle(p []byte) (int, error) {
	for n := range p {
		if _, err := m.Conn.Write(p[n : n+1]); err != nil {
			return n, err
		}
		if !m.sim.pause(m.sim.ctx, trickleEvery) {
			return n + 1, io.ErrClosedPipe
		}
	}
	return len(p), nil
}

// loginStream is what a VM's SSH server says through TLS. It finds the end of the
// key exchange in it, behind which all is encrypted.
type loginStream struct {
	*tls.Conn
	meter *meteredConn
	said  []byte // so far; nil once the login has begun
}

// Write passes on what the server says.
func (s *loginStream) Write(p []byte) (int, error) {
	if s.said == nil {
		return s.Conn.Write(p)
	}
	before := len(s.said)
	s.said = append(s.said, p...)
	end := keyExchangeEnd(s.said)
	if end < 0 {
		return s.Conn.Write(p)
	}
	s.said = nil
	n, err := s.Conn.Write(p[:end-before])
	if err != nil {
		return n, err
	}
	s.meter.reached(stageLogin)
	rest, err := s.Conn.Write(p[end-before:])
	return n + rest, err
}

// keyExchangeEnd is where the first key exchange of an SSH server's stream ends,
// with the message NEWKEYS (RFC 4253 sections 6 and 7.3); -1 if it has not yet.
func keyExchangeEnd(said []byte) int {
	const header, newKeys = 6, 21 // length, padding and type of a packet
	at := bytes.IndexByte(said, '\n') + 1
	for at > 0 && len(said) >= at+header {
		end := at + 4 + int(binary.BigEndian.Uint32(said[at:]))
		if said[at+header-1] == newKeys && end <= len(said) {
			return end
		}
		at = end
	}
	return -1
}
