//go:build !unix

package mux

import (
	"context"
	"errors"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/private"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// ErrNoServer is in the error where nobody serves.
var ErrNoServer = errors.New("no shared connection")

// Options of a server.
type Options struct {
	Idle       time.Duration
	Check      func() bool
	CheckEvery time.Duration
}

// NotYet has nothing to do here.
func NotYet(*private.Listener) (ready func()) { return func() {} }

// Serve is not possible here.
func Serve(context.Context, *private.Listener, *sshconn.Conn, Options) error {
	return errors.ErrUnsupported
}

// Dial finds nobody here.
func Dial(context.Context, string, string) (*sshconn.Conn, error) { return nil, ErrNoServer }
