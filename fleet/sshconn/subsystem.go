package sshconn

import (
	"context"
	"io"
	"sync"
)

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
