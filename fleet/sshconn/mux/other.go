//go:build !unix

package mux

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// Errors of this package, found with errors.Is.
var (
	ErrNoServer = errors.New("no shared connection")
	ErrBusy     = errors.New("the connection is shared by another process already")
	ErrUnsafe   = errors.New("not private to this user")
)

// Options of a server.
type Options struct {
	Idle       time.Duration
	Check      func() bool
	CheckEvery time.Duration
}

// Listen is not possible here: there is no way to keep a socket private.
func Listen(string) (net.Listener, error) { return nil, errors.ErrUnsupported }

// Served is always false here.
func Served(string) bool { return false }

// NotYet has nothing to do here.
func NotYet(net.Listener) (ready func()) { return func() {} }

// Serve is not possible here.
func Serve(context.Context, net.Listener, *sshconn.Conn, Options) error { return errors.ErrUnsupported }

// Dial finds nobody here.
func Dial(context.Context, string, string) (*sshconn.Conn, error) { return nil, ErrNoServer }
