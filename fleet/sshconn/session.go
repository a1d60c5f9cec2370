package sshconn

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/retry"
)

// session is one channel of type "session" (RFC 4254 section 6).
type session struct {
	conn *Conn
	ch   ssh.Channel
	exit chan *ExitError // one value when the server closes the channel; nil means status 0
	gone chan struct{}   // closed then
}

// closeGrace is how long a server may take to confirm that a channel is
// closed before the whole connection counts as dead. Much data may be under
// way to it on a slow line.
const closeGrace = 30 * time.Second

// How long a server may take to forget a session that has just ended. sshd
// counts it against MaxSessions until it has seen both sides close and reaped
// the command, and may read the next request before that.
const (
	settleFirst = 5 * time.Millisecond
	settleMost  = 2 * time.Second
)

// openSession opens a session channel. A cancelled ctx leaves nothing open.
func (c *Conn) openSession(ctx context.Context) (*session, error) {
	began := time.Now()
	for wait := settleFirst; ; wait *= 2 {
		s, err := c.openSessionOnce(ctx)
		if !errors.Is(err, ErrSessionLimit) || time.Since(began) > settleMost || !c.settling() {
			return s, err
		}
		if retry.Sleep(ctx, wait) != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// settling reports whether a session of this connection is ending or has just
// ended, so that one more may soon be allowed.
func (c *Conn) settling() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing > 0 || time.Since(c.closed) < settleMost
}

func (c *Conn) openSessionOnce(ctx context.Context) (*session, error) {
	ch, reqs, err := c.OpenSession(ctx)
	var own *Error
	switch {
	case err == nil:
		s := &session{conn: c, ch: ch, exit: make(chan *ExitError, 1), gone: make(chan struct{})}
		go s.watch(reqs)
		return s, nil
	case errors.As(err, &own):
		own.NotStarted = true
		return nil, err
	case ctx.Err() != nil:
		return nil, err
	}
	return nil, c.openError(err)
}

// OpenSession opens a bare session channel, for the package that shares
// connections. The error is the library's, ctx's, or an *[Error] with [ErrDead]
// if the server does not answer: the connection is then given up.
func (c *Conn) OpenSession(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	type opened struct {
		ch   ssh.Channel
		reqs <-chan *ssh.Request
		err  error
	}
	result := make(chan opened, 1)
	go func() {
		ch, reqs, err := c.client.OpenChannel("session", nil)
		result <- opened{ch, reqs, err}
	}()
	o, err := await(ctx, c, result)
	if err == nil {
		return o.ch, o.reqs, o.err
	}
	go func() {
		if o := <-result; o.err == nil {
			go ssh.DiscardRequests(o.reqs)
			_ = o.ch.Close()
		}
	}()
	return nil, nil, err
}

// await waits for one answer of the server. A server that does not give it is as
// good as dead, whatever else it says meanwhile: it may answer keep-alives and
// send a byte now and then for ever. Only much data, behind which the answer may
// be waiting on a slow line, buys it more time.
func await[T any](ctx context.Context, c *Conn, answer <-chan T) (T, error) {
	var none T
	late := time.NewTimer(c.answer)
	defer late.Stop()
	before := c.received()
	for more := answerRounds; ; more-- {
		select {
		case a := <-answer:
			return a, nil
		case <-ctx.Done():
			return none, context.Cause(ctx)
		case <-late.C:
		}
		now := c.received()
		if more == 0 || now-before < answerRate*uint64(c.answer/time.Second) {
			c.giveUp(ErrDead)
			return none, c.sessionError(ErrDead)
		}
		before = now
		late.Reset(c.answer)
	}
}

const (
	answerRounds = 9       // how often much data buys as much time again
	answerRate   = 4 << 10 // bytes a second that are much
)

func (c *Conn) openError(err error) error {
	e := c.lost()
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		e = c.sessionError(ErrSessionLimit)
	}
	e.NotStarted = true
	return e
}

// watch serves the server's requests on the channel until it is closed.
func (s *session) watch(reqs <-chan *ssh.Request) {
	result := &ExitError{Status: -1}
	for r := range reqs {
		switch r.Type {
		case "exit-status":
			if len(r.Payload) >= 4 {
				result = exitStatus(int(int32(binary.BigEndian.Uint32(r.Payload))))
			}
		case "exit-signal":
			var m struct {
				Signal     string
				CoreDumped bool
				Error      string
				Lang       string
			}
			if ssh.Unmarshal(r.Payload, &m) == nil {
				result = exitSignal(m.Signal)
			}
		default:
			_ = r.Reply(false, nil)
		}
	}
	s.conn.mu.Lock()
	s.conn.closed = time.Now()
	s.conn.mu.Unlock()
	s.exit <- result
	close(s.gone)
}

func exitStatus(status int) *ExitError {
	if status == 0 {
		return nil
	}
	return &ExitError{Status: status}
}

func exitSignal(name string) *ExitError {
	if len(name) > 16 {
		name = name[:16] // the server chooses it
	}
	return &ExitError{Status: 128 + signalNumber(name), Signal: name}
}

// request sends a channel request and waits for the answer.
func (s *session) request(ctx context.Context, name string, payload any) error {
	type answer struct {
		ok  bool
		err error
	}
	result := make(chan answer, 1)
	go func() {
		ok, err := s.ch.SendRequest(name, true, marshal(payload))
		result <- answer{ok, err}
	}()
	a, err := await(ctx, s.conn, result)
	switch {
	case err != nil:
		s.close()
		return err
	case a.err != nil:
		return s.conn.ended()
	case !a.ok:
		return s.conn.sessionError(ErrRefused)
	}
	return nil
}

// tell sends a channel request without asking for an answer.
func (s *session) tell(name string, payload any) {
	_, _ = s.ch.SendRequest(name, false, marshal(payload))
}

// close ends the channel without waiting: a stuck peer could block the write.
// Reads and writes on the channel end when the server confirms, or when the
// connection is given up because it does not.
func (s *session) close() {
	select {
	case <-s.gone:
		return // the server closed it first
	default:
	}
	s.finish(func() {})
}

// abandon ends a command that nobody waits for any more.
func (s *session) abandon() { s.finish(func() { s.signal("TERM") }) }

func (s *session) finish(first func()) {
	count := func(n int) {
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		s.conn.closing += n
	}
	count(1)
	go func() {
		defer count(-1)
		late := time.AfterFunc(closeGrace, func() { s.conn.giveUp(ErrDead) })
		defer late.Stop()
		first()
		_ = s.ch.Close()
		<-s.gone
	}()
}

// signal asks the server to signal the command.
func (s *session) signal(name string) {
	s.tell("signal", struct{ Signal string }{name})
}

func marshal(payload any) []byte {
	if payload == nil {
		return nil
	}
	return ssh.Marshal(payload)
}

// ended is the error for a channel that the server closed in the middle of a
// request: the connection's end, or a refusal.
func (c *Conn) ended() error {
	if !c.alive() {
		return c.lost()
	}
	return c.sessionError(ErrRefused)
}

// alive tells a closed channel from a lost connection. The library closes the
// channels of a lost connection slightly before it reports the loss.
func (c *Conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
	}
	if c.wire != nil && c.wire.failure() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), aliveWait)
	defer cancel()
	return c.Ping(ctx) == nil
}

// aliveWait bounds the question whether a connection still lives.
const aliveWait = 10 * time.Second

// OpenSubsystem starts a subsystem such as "sftp" and returns its stream. The
// stream belongs to ctx: cancelling it closes the stream. A server without
// the subsystem is an *[Error] that wraps [ErrRefused].
func (c *Conn) OpenSubsystem(ctx context.Context, name string) (io.ReadWriteCloser, error) {
	s, err := c.openSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.request(ctx, "subsystem", struct{ Name string }{name}); err != nil {
		s.close()
		return nil, err
	}
	go func() { _, _ = io.Copy(io.Discard, s.ch.Stderr()) }()
	sub := &subsystem{session: s}
	sub.release = context.AfterFunc(ctx, func() { _ = sub.Close() })
	return sub, nil
}

// subsystem is the stream of a subsystem. Closing it ends a blocked Read or
// Write as soon as the server confirms.
type subsystem struct {
	session *session
	release func() bool
	once    sync.Once
}

// Read reads what the subsystem sends.
func (s *subsystem) Read(p []byte) (int, error) { return s.session.ch.Read(p) }

// Write sends to the subsystem.
func (s *subsystem) Write(p []byte) (int, error) { return s.session.ch.Write(p) }

// Close closes the channel.
func (s *subsystem) Close() error {
	s.once.Do(func() {
		s.release()
		s.session.close()
	})
	return nil
}
