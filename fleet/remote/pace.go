package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
)

// paceBytes is what must come from one of several VMs within each Patience, or
// it is given up: one that trickles must not hold up the others.
const paceBytes = 4 << 10

// lateError says that too little came from one of several VMs.
type lateError struct{ patience time.Duration }

// Error names the limit.
func (e *lateError) Error() string {
	return fmt.Sprintf("the VM is late: it sent next to nothing within %v, and the others are not to wait for it", e.patience)
}

// paced bounds work on one of several VMs. count is told of bytes that came; once
// too few did, ctx ends with a *lateError for its cause.
func paced(parent context.Context, patience time.Duration) (ctx context.Context, count func(n int), stop func()) {
	patience = cmp.Or(patience, Patience)
	ctx, cancel := context.WithCancelCause(parent)
	t := time.AfterFunc(patience, func() { cancel(&lateError{patience}) })
	came := 0
	count = func(n int) {
		if came += n; came >= paceBytes {
			came = 0
			t.Reset(patience)
		}
	}
	return ctx, count, func() { t.Stop(); cancel(nil) }
}

// lateOr is err, or that the VM was late, which led to it.
func lateOr(ctx context.Context, err error) error {
	var late *lateError
	if err != nil && errors.As(context.Cause(ctx), &late) {
		return late
	}
	return err
}

// countedConn counts what commands write to stdout.
type countedConn struct {
	lieutenant.Conn
	count func(n int)
}

// Exec runs a command. Its calls must not overlap.
func (c countedConn) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	if stdout != nil {
		stdout = countedWriter{stdout, c.count}
	}
	return c.Conn.Exec(ctx, cmd, stdin, stdout, stderr)
}

// countedWriter tells count of what is written.
type countedWriter struct {
	io.Writer
	count func(n int)
}

func (w countedWriter) Write(p []byte) (int, error) {
	w.count(len(p))
	return w.Writer.Write(p)
}
