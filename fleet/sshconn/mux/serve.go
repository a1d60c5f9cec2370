//go:build unix

package mux

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/private"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// Options of a server. The zero value serves until the connection ends.
type Options struct {
	// Idle ends the server when nobody was connected to it for so long; 0
	// means never.
	Idle time.Duration
	// Check is asked before each borrowing and every CheckEvery; false ends
	// the server at once. It must be cheap.
	Check      func() bool
	CheckEvery time.Duration // 0 means 5 s
}

// Why a server ended.
var (
	// errIdle: nobody used it for Options.Idle.
	errIdle = errors.New("idle")
	// errRevoked: Options.Check said no.
	errRevoked = errors.New("no longer allowed")
)

const checkEvery = 5 * time.Second

// server shares one connection.
type server struct {
	conn   *sshconn.Conn
	spare  *spareSession
	o      Options
	config *ssh.ServerConfig
	info   []byte
	stop   context.CancelCauseFunc

	mu      sync.Mutex
	clients map[net.Conn]bool
	timer   *time.Timer
	heard   time.Time // when the VM last answered, by the wall clock: a suspended machine's other clock stands still
}

// Serve lends conn to whoever connects to l, until ctx ends, conn ends, or the
// options say so; it then closes both and returns why.
func Serve(ctx context.Context, l *private.Listener, conn *sshconn.Conn, o Options) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer l.Close()
	defer conn.Close()
	s := &server{conn: conn, spare: newSpare(conn), o: o, stop: stop, clients: map[net.Conn]bool{}, heard: wallClock()}
	var err error
	if s.config, err = serverConfig(); err != nil {
		return err
	}
	if s.info, err = json.Marshal(conn.Info()); err != nil {
		return err
	}
	defer s.closeAll()
	s.armIdle()
	defer s.timer.Stop()
	go s.watch(ctx, l)
	go s.accept(ctx, l)
	<-ctx.Done()
	return context.Cause(ctx)
}

// serverConfig makes a host key for the lifetime of the server: the protocol
// wants one.
func serverConfig() (*ssh.ServerConfig, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	c := &ssh.ServerConfig{Config: algorithms(), NoClientAuth: true}
	c.AddHostKey(signer)
	return c, nil
}

// watch ends the server with the connection, when the check fails, and when
// its socket was taken away: nobody can find it any more.
func (s *server) watch(ctx context.Context, l *private.Listener) {
	every := s.o.CheckEvery
	if every <= 0 {
		every = checkEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.conn.Done():
			s.stop(sshconn.ErrLost)
			return
		case <-tick.C:
			if !l.InPlace() {
				s.stopUnused()
			}
			if s.allowed() && wallClock().Sub(s.lastHeard()) > probeEvery {
				go s.probe(ctx, probeWait, 0)
			}
		}
	}
}

func (s *server) allowed() bool {
	if s.o.Check == nil || s.o.Check() {
		return true
	}
	s.stop(errRevoked)
	return false
}

// armIdle starts the clock that ends an unused server.
func (s *server) armIdle() {
	s.timer = time.AfterFunc(time.Hour, s.stopUnused)
	if s.o.Idle > 0 {
		s.timer.Reset(s.o.Idle)
	} else {
		s.timer.Stop()
	}
}

func (s *server) stopUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) == 0 {
		s.stop(errIdle)
	}
}

func (s *server) accept(ctx context.Context, l *private.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				s.stop(err)
			}
			return
		}
		if private.CheckPeer(c) != nil || !s.allowed() {
			_ = c.Close()
			continue
		}
		s.mu.Lock()
		s.clients[c] = true
		s.mu.Unlock()
		go s.client(c)
	}
}

// How the server makes sure that it lends out a connection that works.
const (
	probeEvery = 10 * time.Second        // an idle connection is asked for a sign of life
	staleAfter = 25 * time.Second        // without one so long (a suspended machine) nobody may borrow unseen
	staleWait  = 1500 * time.Millisecond // for the answer then; shorter than a borrower waits
	probeWait  = 10 * time.Second
)

func wallClock() time.Time { return time.Now().Round(0) }

func (s *server) lastHeard() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// probe asks the VM for a sign of life. Without one a connection is given up
// if it has at most so many borrowers; with more it may just be choked with
// data, and its own keep-alive decides.
func (s *server) probe(ctx context.Context, wait time.Duration, borrowers int) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := s.conn.Ping(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.heard = wallClock()
		return true
	}
	if len(s.clients) <= borrowers {
		s.stop(sshconn.ErrLost)
	}
	return false
}

// fresh reports whether the connection may be lent. If the last sign of life
// is old, it waits for one; else it looks for one meanwhile, so that a command
// on a connection that has just died does not hang until the keep-alive ends it.
func (s *server) fresh() bool {
	if wallClock().Sub(s.lastHeard()) > staleAfter {
		return s.probe(context.Background(), staleWait, 1)
	}
	go s.probe(context.Background(), probeWait, 1)
	return true
}

// client serves one borrower until it goes away.
func (s *server) client(c net.Conn) {
	defer s.leave(c)
	_ = c.SetDeadline(time.Now().Add(dialWait))
	sc, chans, reqs, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	defer sc.Close()
	_ = c.SetDeadline(time.Time{})
	if !s.fresh() { // the borrower waits for its first answer
		return
	}
	go s.globalRequests(reqs)
	for n := range chans {
		go s.channel(n)
	}
}

func (s *server) leave(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
	if len(s.clients) == 0 && s.o.Idle > 0 {
		s.timer.Reset(s.o.Idle)
	}
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		_ = c.Close()
	}
}

// globalRequests answers what is meant for this process. Listening on the VM
// is not lent out.
func (s *server) globalRequests(reqs <-chan *ssh.Request) {
	for r := range reqs {
		if r.Type == infoRequest {
			_ = r.Reply(true, s.info)
			continue
		}
		_ = r.Reply(false, nil)
	}
}
