//go:build unix

package mux

import (
	"errors"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/private"
)

// ErrNoServer is in the error where nobody serves, or nobody that answers.
var ErrNoServer = errors.New("no shared connection")

// Limits of what happens on the socket before the first command. The other end
// is on this machine: unless it is stopped or stuck it says its first word at
// once; it may need longer to find out whether the VM is still there.
const (
	helloWait = 300 * time.Millisecond
	dialWait  = 2 * time.Second
)

// NotYet turns everybody away from u, at once, until ready is called: the
// place is taken before there is a connection to share, so that of several
// processes only one makes it.
func NotYet(u *private.Listener) (ready func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := u.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return func() {
		_ = u.SetDeadline(time.Now())
		<-ended
		_ = u.SetDeadline(time.Time{})
	}
}
