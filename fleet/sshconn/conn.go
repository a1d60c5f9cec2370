package sshconn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Conn is a connection to a VM, logged in. All its methods may be called from
// several goroutines.
type Conn struct {
	client *ssh.Client
	info   Info
	name   string
	wire   *wire // nil on a connection borrowed from another process
	done   chan struct{}
	answer time.Duration // Timeouts.Answer

	mu        sync.Mutex
	why       error     // first cause of the end, set before closing
	closing   int       // sessions that were closed here and not yet there
	closed    time.Time // when the last session ended
	forwards  []*Forward
	told      func(string) // nil: nobody
	verbosity verbosity
	agent     sync.Once
	agentErr  error
}

func newConn(d *Dialer, h *handshake, client *ssh.Client) *Conn {
	info := Info{
		Endpoint:     h.cand.used(),
		HostKey:      authorizedKey(h.seen.key),
		Fingerprint:  ssh.FingerprintSHA256(h.seen.key),
		FirstContact: len(h.pins.keys) == 0,
		KeyIndex:     h.keys.used,
		PublicKey:    h.keys.public,
		Server:       string(client.ServerVersion()),
		Banner:       h.said,
		Stages:       h.watch.stages,
	}
	c := wrap(client, info, h.target.label(), h.wire, d.Timeouts)
	if d.KeepAlive > 0 {
		go c.keepAlive(d.KeepAlive)
	}
	return c
}

func wrap(client *ssh.Client, info Info, name string, w *wire, t Timeouts) *Conn {
	c := &Conn{client: client, info: info, name: name, wire: w, done: make(chan struct{}), answer: t.withDefaults().Answer}
	go func() {
		err := client.Wait()
		c.end(err)
		close(c.done)
	}()
	return c
}

// Borrow makes a Conn of an SSH client that somebody else has set up, such as
// one that speaks to a process sharing its connection.
func Borrow(client *ssh.Client, info Info, name string) *Conn {
	return wrap(client, info, name, nil, Timeouts{})
}

// Info describes the connection.
func (c *Conn) Info() Info { return c.info }

// Shared reports whether the connection belongs to another process. A shared
// connection carries commands, sessions, subsystems and forwardings from here
// to the VM, but neither an agent nor a forwarding that listens on the VM.
func (c *Conn) Shared() bool { return c.wire == nil }

// Client is the SSH client below, for the package that shares connections.
func (c *Conn) Client() *ssh.Client { return c.client }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close ends the connection and everything that runs over it.
func (c *Conn) Close() error {
	c.end(errClosed)
	c.closeForwards()
	if c.wire != nil {
		_ = c.wire.Close()
	}
	go func() { _ = c.client.Close() }() // waits for the library's reader, which a peer may have stuck
	return nil
}

// Wait returns when the connection has ended: nil after Close, else an *Error
// with [ErrLost] or [ErrDead].
func (c *Conn) Wait() error {
	<-c.done
	if err := c.endCause(); !errors.Is(err, errClosed) {
		return err
	}
	return nil
}

// end records why the connection ends, first come first served.
func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return
	}
	if !errors.Is(err, errClosed) && !errors.Is(err, ErrDead) {
		err = ErrLost
	}
	c.why = err
}

// giveUp ends the connection without asking the peer.
func (c *Conn) giveUp(why error) {
	c.end(why)
	if c.wire != nil {
		c.wire.abort()
		return
	}
	go func() { _ = c.client.Close() }()
}

func (c *Conn) endCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		return nil
	}
	return c.sessionError(c.why)
}

func (c *Conn) sessionError(err error) *Error {
	return newError(StageSession, c.info.Endpoint.Address, err)
}

// missedMax is how many keep-alives in a row may stay unanswered.
const missedMax = 3

// received counts what has arrived, as far as that is known here.
func (c *Conn) received() uint64 {
	if c.wire == nil {
		return 0
	}
	return c.wire.received.Load()
}

// keepAlive probes an idle connection and closes it when nothing at all has
// arrived for missedMax intervals after a probe.
func (c *Conn) keepAlive(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var probing atomic.Bool
	missed, last := 0, c.wire.received.Load()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if now := c.wire.received.Load(); now != last {
			last, missed = now, 0
			continue
		}
		if missed == missedMax {
			c.giveUp(ErrDead)
			return
		}
		missed++
		if probing.CompareAndSwap(false, true) {
			go func() {
				defer probing.Store(false)
				_ = c.probe()
			}()
		}
	}
}

// probe makes the server answer something (OpenSSH's clientloop.c,
// server_alive_check).
func (c *Conn) probe() error {
	_, _, err := c.client.SendRequest("keepalive@openssh.com", true, nil)
	return err
}

// Ping waits for an answer of the server.
func (c *Conn) Ping(ctx context.Context) error {
	answer := make(chan error, 1)
	go func() { answer <- c.probe() }()
	select {
	case err := <-answer:
		if err != nil {
			return c.lost()
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lost is the error for an operation that the connection's end cut short.
func (c *Conn) lost() *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		return c.sessionError(ErrLost)
	}
	return c.sessionError(c.why)
}

// errNoAgent says that no ssh-agent answers at the socket that was to be forwarded.
var errNoAgent = errors.New("no ssh-agent answers at the given socket")

// ErrShared says that a connection borrowed from another process cannot do that.
var ErrShared = errors.New("not possible over a shared connection")

// forwardAgent lets the VM reach the ssh-agent at a socket, for as long as the
// connection lives.
func (c *Conn) forwardAgent(socket string) error {
	if c.Shared() {
		return newError(StageForward, socket, ErrShared)
	}
	c.agent.Do(func() {
		if agent.ForwardToRemote(c.client, socket) != nil {
			c.agentErr = newError(StageForward, socket, errNoAgent)
		}
	})
	return c.agentErr
}
