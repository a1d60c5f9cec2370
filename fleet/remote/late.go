package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Patience is how long a VM may be silent before its place among those worked on
// goes to another, and before it is named as late.
const Patience = 30 * time.Second

// afterSilence calls late when alive was not called for as long as patience (0 =
// Patience), and again after each further such time. After stop it does not begin
// to.
func afterSilence(patience time.Duration, late func()) (alive, stop func()) {
	patience = cmp.Or(patience, Patience)
	var mu sync.Mutex
	stopped := false
	var t *time.Timer
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(patience, func() {
		late()
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			t.Reset(patience)
		}
	})
	alive = func() { t.Reset(patience) }
	stop = func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		t.Stop()
	}
	return alive, stop
}

// side says how VMs are worked on.
type side struct {
	jobs     int
	strict   bool                 // never more than jobs
	patience time.Duration        // 0 = Patience
	waiting  func([]inventory.VM) // nil = nobody is told
}

// sideBySide works on VMs such that none holds up the others: one that gives no
// sign of life for long goes on, but unless strict its place goes to the next.
// When all that are left are late, waiting is told which; again when one of them
// has ended.
func sideBySide(vms []inventory.VM, o side, work func(n int, alive func())) {
	var mu sync.Mutex
	left, late := len(vms), map[int]bool{}
	tell := func() {
		if o.waiting == nil || left == 0 || len(late) < left || len(vms) == 1 {
			return
		}
		var names []inventory.VM
		for _, n := range slices.Sorted(maps.Keys(late)) {
			names = append(names, vms[n])
		}
		o.waiting(names)
	}
	problem.EachLeaving(len(vms), o.jobs, func(n int, leave func()) {
		ended := false
		alive, stop := afterSilence(o.patience, func() {
			mu.Lock()
			defer mu.Unlock()
			if ended || late[n] {
				return
			}
			if !o.strict {
				leave()
			}
			late[n] = true
			tell()
		})
		work(n, func() {
			alive()
			mu.Lock()
			defer mu.Unlock()
			delete(late, n)
		})
		stop()
		mu.Lock()
		defer mu.Unlock()
		ended = true
		left--
		delete(late, n)
		tell()
	})
}

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
