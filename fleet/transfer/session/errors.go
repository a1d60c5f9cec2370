package session

import (
	"errors"
	"io"
)

// ErrStalled is what a LateError matches.
var ErrStalled = errors.New("the VM stopped answering")

// ErrNoise is what a session fails with when the answer does not begin with
// Ready within the first noiseLimit bytes.
var ErrNoise = errors.New("the VM's shell does not answer as expected")

// errTooMany ends a session whose script would get more than it can take.
var errTooMany = errors.New("too many names for one command")

// ErrStdin is what a session fails with when its stdin was read before the command
// began; its status stands behind it.
var ErrStdin = errors.New("what the VM's login shell runs first (such as .bashrc) reads the stdin of commands")

// ErrNoSession is what a Transport fails with when the server opens no further
// session on its connection, which is fine. Nothing of stdin was read then.
var ErrNoSession = errors.New("no further session on this connection")

// ErrStopped is the cause when this end has had enough of a session.
var ErrStopped = errors.New("session ended by this end")

// IsDrop tells whether err means that the connection (not a command) failed.
func IsDrop(err error) bool {
	var bad BadAnswer
	return err != nil && !errors.As(err, &bad) && !Exited(err) && !errors.Is(err, ErrStopped) && !errors.Is(err, ErrNoise) &&
		!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// Exited tells whether err is a command's own status.
func Exited(err error) bool {
	var status interface{ ExitStatus() int }
	return errors.As(err, &status)
}

// BadAnswer is an answer that makes no sense though the connection is fine.
type BadAnswer struct{ Err error }

func (e BadAnswer) Error() string { return e.Err.Error() }

// Unwrap returns what does not make sense.
func (e BadAnswer) Unwrap() error { return e.Err }
