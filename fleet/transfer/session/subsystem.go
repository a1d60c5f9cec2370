package session

import (
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// subsystem is SFTP whose server is watched as commands are: it owes as many
// answers as it got requests.
type subsystem struct {
	io.ReadWriteCloser
	a    *account
	sent packets
	got  packets
	mu   sync.Mutex
	open int64 // requests without an answer
	late atomic.Pointer[error]
	once sync.Once
	done chan struct{}
}

// packets counts the packets of one direction: each begins with its length
// (draft-ietf-secsh-filexfer-02, section 3).
type packets struct {
	head [4]byte
	have int   // of head
	rest int64 // of the packet
}

// pass takes note of bytes that pass, and returns how many packets ended.
func (p *packets) pass(b []byte) (ended int64) {
	for len(b) > 0 {
		if p.rest > 0 {
			n := min(p.rest, int64(len(b)))
			b, p.rest = b[n:], p.rest-n
			if p.rest == 0 {
				ended++
			}
			continue
		}
		p.head[p.have] = b[0]
		b = b[1:]
		if p.have++; p.have == len(p.head) {
			p.have, p.rest = 0, int64(binary.BigEndian.Uint32(p.head[:]))
		}
	}
	return ended
}

func watchSubsystem(rw io.ReadWriteCloser) *subsystem {
	s := &subsystem{ReadWriteCloser: rw, a: newAccount(), done: make(chan struct{})}
	s.a.rest()
	s.a.begin()
	go s.watch()
	return s
}

func (s *subsystem) watch() {
	tick := time.NewTicker(Patience / 12)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			if err := s.a.late(); err != nil {
				s.late.Store(&err)
				_ = s.ReadWriteCloser.Close()
				return
			}
		}
	}
}

// owe counts requests (or, less than 0, answers).
func (s *subsystem) owe(more int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open += more; s.open > 0 {
		s.a.due("answers of its SFTP server", 0)
	} else {
		s.a.rest()
	}
}

// Write is called by one goroutine at a time, as Read is.
func (s *subsystem) Write(b []byte) (int, error) {
	s.owe(s.sent.pass(b))
	n, err := s.ReadWriteCloser.Write(b)
	s.a.came(n, 3*Patience)
	return n, s.why(err)
}

func (s *subsystem) Read(b []byte) (int, error) {
	s.a.wait(1)
	n, err := s.ReadWriteCloser.Read(b)
	s.a.wait(-1)
	s.a.came(n, Patience)
	s.owe(-s.got.pass(b[:n]))
	return n, s.why(err)
}

// why is the reason for an error.
func (s *subsystem) why(err error) error {
	if late := s.late.Load(); err != nil && late != nil {
		return *late
	}
	return err
}

func (s *subsystem) Close() error {
	s.once.Do(func() { close(s.done) })
	return s.ReadWriteCloser.Close()
}
