package session

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
)

// Transport is one logged-in connection to a VM. Exec runs a command through the
// login shell and returns when it has ended, even if stdin has not, and soon
// after ctx ends; a command that ended with a status other than 0 returns an error
// that has the method ExitStatus() int, every other error means that the
// connection is in trouble. All methods are safe for concurrent use. A Transport
// that is also an io.Closer is closed by whoever dialled it.
type Transport interface {
	Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error
	OpenSubsystem(ctx context.Context, name string) (io.ReadWriteCloser, error)
	// Ping waits for an answer of the SSH server itself.
	Ping(ctx context.Context) error
}

// maxSessions bounds the sessions that one connection carries at a time; sshd
// refuses the 11th (MaxSessions 10, sshd_config(5)). Those that last as long as
// there is work (the listing, streams, ranges) are fewer, so that the short ones
// (hashes, single files) always get their turn.
const maxSessions = 9

// Conn is a connection whose sessions wait until there is room for them. Safe
// for concurrent use.
type Conn struct {
	t    Transport
	dial func(context.Context) (Transport, error) // nil = there is only t
	room chan struct{}                            // an item per session
	full atomic.Bool
}

// NewConn is a Conn over t, which carries no other sessions.
func NewConn(t Transport) *Conn { return &Conn{t: t, room: make(chan struct{}, maxSessions)} }

// Further makes sessions beyond those that the server opens on one connection
// (MaxSessions) have each a connection of its own, by dial, if that is not nil.
func (c *Conn) Further(dial func(context.Context) (Transport, error)) *Conn {
	c.dial = dial
	return c
}

// Full tells whether the server has refused a session that was one too many.
func (c *Conn) Full() bool { return c.full.Load() }

// exec runs a command over t, or over a connection of its own.
func (c *Conn) exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	err := c.t.Exec(ctx, cmd, stdin, stdout, stderr)
	if !errors.Is(err, ErrNoSession) || c.dial == nil {
		return err
	}
	c.full.Store(true)
	t, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer closeTransport(t)
	return t.Exec(ctx, cmd, stdin, stdout, stderr)
}

func closeTransport(t Transport) {
	if t, ok := t.(io.Closer); ok {
		_ = t.Close()
	}
}

// enter waits for room; leave makes room again.
func (c *Conn) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case c.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Conn) leave() { <-c.room }

// SFTP opens the subsystem of that name. It is not counted among the sessions. A
// server that is late is cut off; the reader gets a LateError.
func (c *Conn) SFTP(ctx context.Context) (io.ReadWriteCloser, error) {
	rw, err := c.t.OpenSubsystem(ctx, "sftp")
	if errors.Is(err, ErrNoSession) && c.dial != nil {
		c.full.Store(true)
		rw, err = c.sftpApart(ctx)
	}
	if err != nil {
		return nil, err
	}
	return watchSubsystem(rw), nil
}

// sftpApart is SFTP over a connection of its own.
func (c *Conn) sftpApart(ctx context.Context) (io.ReadWriteCloser, error) {
	t, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	rw, err := t.OpenSubsystem(ctx, "sftp")
	if err != nil {
		closeTransport(t)
		return nil, err
	}
	return apart{rw, t}, nil
}

// apart is a subsystem that takes its connection with it.
type apart struct {
	io.ReadWriteCloser
	t Transport
}

func (a apart) Close() error {
	err := a.ReadWriteCloser.Close()
	closeTransport(a.t)
	return err
}

// Ping waits for an answer of the SSH server.
func (c *Conn) Ping(ctx context.Context) error { return c.t.Ping(ctx) }

// Close closes the connection if it can be.
func (c *Conn) Close() { closeTransport(c.t) }
