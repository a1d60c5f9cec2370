//go:build unix

package mux

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// opened is a channel to the VM.
type opened struct {
	ch   ssh.Channel
	reqs <-chan *ssh.Request
}

// spareSession keeps one session channel open in advance, so that a borrowed command
// needs one round trip instead of two. sshd holds nothing but a number for it.
type spareSession struct {
	conn   *sshconn.Conn
	mu     sync.Mutex
	ready  *opened
	making bool
	ended  time.Time // when a session last ended
}

func newSpare(conn *sshconn.Conn) *spareSession {
	s := &spareSession{conn: conn}
	s.refill()
	return s
}

// refill opens the next spare session in the background. It does without when
// the server allows no more of them.
func (s *spareSession) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready != nil || s.making {
		return
	}
	s.making = true
	go func() {
		ch, reqs, err := s.conn.OpenSession(context.Background())
		s.mu.Lock()
		defer s.mu.Unlock()
		s.making = false
		if err == nil {
			s.ready = &opened{ch, reqs}
		}
	}()
}

// take returns the spare session or opens one. A server that allows no more of
// them is asked again for a moment if the spare is just being opened, or if it may
// not have noticed yet that another session has ended.
func (s *spareSession) take() (*opened, error) {
	const first, most = 5 * time.Millisecond, 500 * time.Millisecond
	began := time.Now()
	for wait := first; ; wait *= 2 {
		spare, soon := s.pop(most)
		if spare != nil {
			return spare, nil
		}
		ch, reqs, err := s.conn.OpenSession(context.Background())
		if err == nil {
			return &opened{ch, reqs}, nil
		}
		if !soon || time.Since(began) > most {
			return nil, err
		}
		time.Sleep(wait)
	}
}

// pop takes the spare session, or says whether one may be had soon.
func (s *spareSession) pop(lately time.Duration) (spare *opened, soon bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spare, s.ready = s.ready, nil
	return spare, s.making || time.Since(s.ended) < lately
}

// release notes that a session has ended.
func (s *spareSession) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = time.Now()
}

// channel connects a borrower's channel with one to the VM.
func (s *server) channel(n ssh.NewChannel) {
	vm, err := s.open(n)
	if err != nil {
		reject(n, err)
		return
	}
	ch, reqs, err := n.Accept()
	if err != nil {
		go ssh.DiscardRequests(vm.reqs)
		_ = vm.ch.Close()
		return
	}
	isSession := n.ChannelType() == "session"
	if isSession {
		s.spare.refill()
	}
	exited := relay(&opened{ch, reqs}, vm)
	if isSession {
		s.spare.release()
		if !exited && !s.alive() {
			s.stop(sshconn.ErrLost) // borrowers must see a lost connection, not a silent end
			return
		}
	}
	_ = ch.Close()
}

// aliveWait bounds the question whether the VM still answers.
const aliveWait = 10 * time.Second

func (s *server) alive() bool {
	ctx, cancel := context.WithTimeout(context.Background(), aliveWait)
	defer cancel()
	return s.conn.Ping(ctx) == nil
}

func (s *server) open(n ssh.NewChannel) (*opened, error) {
	switch n.ChannelType() {
	case "session":
		return s.spare.take()
	case "direct-tcpip", "direct-streamlocal@openssh.com":
		ch, reqs, err := s.conn.Client().OpenChannel(n.ChannelType(), n.ExtraData())
		if err != nil {
			return nil, err
		}
		return &opened{ch, reqs}, nil
	}
	return nil, &ssh.OpenChannelError{Reason: ssh.UnknownChannelType, Message: "not shared"}
}

// reject passes the VM's refusal on.
func reject(n ssh.NewChannel, err error) {
	var e *ssh.OpenChannelError
	if errors.As(err, &e) {
		_ = n.Reject(e.Reason, e.Message)
		return
	}
	_ = n.Reject(ssh.ConnectionFailed, "connection to the VM lost")
}

// relay carries everything between a borrower and the VM until the VM has
// closed its channel. It reports whether the VM sent an exit status, and
// leaves closing the borrower's channel to the caller.
func relay(here, vm *opened) (exited bool) {
	var output sync.WaitGroup
	var answering sync.Mutex
	output.Go(func() { _, _ = io.Copy(here.ch, vm.ch) })
	output.Go(func() { _, _ = io.Copy(here.ch.Stderr(), vm.ch.Stderr()) })
	eof := make(chan struct{})
	go func() {
		output.Wait()
		_ = here.ch.CloseWrite()
		close(eof)
	}()
	go func() {
		_, _ = io.Copy(vm.ch, here.ch)
		_ = vm.ch.CloseWrite()
	}()
	go func() {
		requests(vm.ch, here.reqs, &answering)
		_ = vm.ch.Close() // the borrower has closed or died
	}()
	exited = requests(here.ch, vm.reqs, nil)
	<-eof
	// The VM may have run a short command and closed the channel while its
	// answer to the request is still on its way to the borrower.
	answering.Lock()
	defer answering.Unlock()
	return exited
}

// requests repeats requests on the other channel, and reports whether an exit
// status was among them. busy, if not nil, is held from a request to its
// answer.
func requests(to ssh.Channel, from <-chan *ssh.Request, busy *sync.Mutex) (exited bool) {
	if busy == nil {
		busy = new(sync.Mutex)
	}
	for r := range from {
		exited = request(to, r, busy) || exited
	}
	return exited
}

// request repeats one request; an agent is not lent out.
func request(to ssh.Channel, r *ssh.Request, busy *sync.Mutex) (exited bool) {
	busy.Lock()
	defer busy.Unlock()
	switch r.Type {
	case "auth-agent-req@openssh.com":
		_ = r.Reply(false, nil)
		return false
	case "exit-status", "exit-signal":
		exited = true
	}
	ok, err := to.SendRequest(r.Type, r.WantReply, r.Payload)
	_ = r.Reply(ok && err == nil, nil)
	return exited
}
