package lieutenant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Conn is an open connection to a VM. Exec runs a command there; a non-zero exit status is an error that has a method
// ExitStatus() int.
type Conn interface {
	Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error
}

// paths says where a lieutenant keeps its things. The zero value means the places the agent extension uses.
type paths struct {
	in      string // FIFO for commands; default /tmp/pi-rpc/in
	out     string // event stream; default /tmp/pi-rpc/out
	session string // tmux session; default pi-rpc
}

func (p paths) withDefaults() paths {
	if p.in == "" {
		p.in = "/tmp/pi-rpc/in"
	}
	if p.out == "" {
		p.out = "/tmp/pi-rpc/out"
	}
	if p.session == "" {
		p.session = "pi-rpc"
	}
	return p
}

// Errors that say what is the matter with a lieutenant.
var (
	ErrNoLieutenant    = errors.New("no lieutenant has run on this VM")
	ErrNoAnswer        = errors.New("the lieutenant has not finished any answer")
	ErrNoQuestion      = errors.New("the lieutenant has asked no such thing")
	ErrNoReader        = errors.New("nobody listens: the lieutenant's process is not running")
	ErrPartialWrite    = errors.New("the lieutenant stopped reading in the middle of the message")
	ErrNoResponse      = errors.New("the lieutenant has taken the command and does not answer it")
	ErrRefused         = errors.New("the lieutenant refuses it")
	ErrDeliveryUnknown = errors.New("the connection ended before the VM said whether the message was delivered")
	ErrStdin           = errors.New("what the VM's login shell runs first (such as .bashrc) reads the stdin of commands")
	errUnstable        = errors.New("the event stream is replaced faster than it can be read")
	errProtocol        = errors.New("the VM's shell did not answer as expected")
)

// commandError is a command that could not be run on the VM.
type commandError struct {
	op     string // what was to be done
	stderr string // what the VM said, cleaned and shortened
	err    error
}

func (e *commandError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("%s: %v", e.op, e.err)
	}
	return fmt.Sprintf("%s: %v (%s)", e.op, e.err, e.stderr)
}

func (e *commandError) Unwrap() error { return e.err }

// run executes a command and hands its stdout to read, which may stop early: the command is then ended. The error of
// read wins over that of the command, unless it only says that the output ended too soon (io.ErrUnexpectedEOF): then
// the command knows why.
func run(ctx context.Context, conn Conn, op, cmd string, stdin io.Reader, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stderr := &capped{max: 500}
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := conn.Exec(ctx, cmd, stdin, pw, stderr)
		_ = pw.Close()
		done <- err
	}()
	readErr := read(pr)
	if readErr != nil {
		cancel()
	}
	pr.CloseWithError(errStopped)
	err := <-done
	short := errors.Is(readErr, io.ErrUnexpectedEOF)
	switch {
	case readErr != nil && !short:
		return readErr
	case err != nil:
		return &commandError{op: op, stderr: label(stderr.buf.String()), err: err}
	case errors.Is(readErr, errChanged):
		return errChanged
	case short:
		return &commandError{op: op, stderr: label(stderr.buf.String()), err: errProtocol}
	}
	return nil
}

var errStopped = errors.New("output no longer wanted")

// capped keeps the first max bytes.
type capped struct {
	buf bytes.Buffer
	max int
}

func (c *capped) Write(p []byte) (int, error) {
	c.buf.Write(p[:min(len(p), c.max-c.buf.Len())])
	return len(p), nil
}
