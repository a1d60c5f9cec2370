//go:build !unix

package private

import (
	"errors"
	"net"
)

// Errors of this package, found with errors.Is.
var (
	ErrBusy   = errors.New("another process serves there already")
	ErrUnsafe = errors.New("not private to this user")
)

// Listener is never made here.
type Listener struct{ *net.UnixListener }

// Listen is not possible here: there is no way to keep a socket private.
func Listen(string) (*Listener, error) { return nil, errors.ErrUnsupported }

// Served is always false here.
func Served(string) bool { return false }

// CheckFolder is not possible here.
func CheckFolder(string) error { return errors.ErrUnsupported }

// CheckPeer refuses everybody here.
func CheckPeer(net.Conn) error { return ErrUnsafe }
