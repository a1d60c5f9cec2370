package transfer

import "context"

// maxSessions bounds the sessions that one connection carries at a time; sshd
// refuses the 11th (MaxSessions 10, sshd_config(5)). Those that last as long as
// there is work (the listing, streams, ranges) are fewer, so that the short ones
// (hashes, single files) always get their turn.
const maxSessions = 9

// limitedConn is a connection whose sessions wait until there is room for them.
type limitedConn struct {
	Conn
	sessions chan struct{}
}

func newSlotConn(c Conn) *limitedConn { return &limitedConn{c, make(chan struct{}, maxSessions)} }

// enter waits for room; what it returns makes room again.
func (c *limitedConn) enter(ctx context.Context) (leave func(), err error) {
	select {
	case c.sessions <- struct{}{}:
		return func() { <-c.sessions }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// enter waits until c has room for a session.
func enter(ctx context.Context, c Conn) (leave func(), err error) {
	if sc, ok := c.(*limitedConn); ok {
		return sc.enter(ctx)
	}
	return func() {}, nil
}
