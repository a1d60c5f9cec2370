package problem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/vers-fleet/vers-fleet/keystore"
)

// Each calls work for 0..n-1, at most jobs at a time, and returns when all of
// it is done: the one bounded fan-out.
func Each(n, jobs int, work func(int)) {
	EachLeaving(n, jobs, func(i int, _ func()) { work(i) })
}

// EachLeaving is Each of work that may leave its place to the next before it has
// ended.
func EachLeaving(n, jobs int, work func(i int, leave func())) {
	var wg sync.WaitGroup
	limit := make(chan struct{}, jobs)
	for i := range n {
		limit <- struct{}{}
		wg.Go(func() {
			leave := sync.OnceFunc(func() { <-limit })
			defer leave()
			work(i, leave)
		})
	}
	wg.Wait()
}

// ErrStopped is in the error of work that was not awaited because the caller
// gave up or another VM failed first: no failure of that VM.
var ErrStopped = errors.New("stopped")

// SeeList is the advice where a list of results was printed.
const SeeList = "the list says why for each"

// Outcome is what became of the work on one VM.
type Outcome struct {
	Name string // what to call the VM
	Why  string // "": the reason of Err
	Err  error
}

// Sum says how the failures of work on several VMs become one error.
type Sum struct {
	Waiting   string // completes "2 of 12 VMs" where the failures only wait; "" = Failed
	Failed    string // completes "2 of 12 VMs": "failed", "could not be committed"
	Next      string // what to do then
	Cut       string // what to do when work was stopped; it may still be going on
	Origin    Origin // "": that of the first failure
	Retryable bool
	Alike     bool // when all failed alike, or the failures only wait, the first of them speaks for all
}

// Of is the one error for the outcomes: nil if nothing failed, the VM's own if
// there is only one VM, of kind Interrupted when the caller gave up, and else
// of kind Partial, with the VMs of each reason by name. It has no cause: a
// summary must not pass for one VM's exit status.
func (s Sum) Of(ctx context.Context, outcomes []Outcome) error {
	t := tally{total: len(outcomes), names: map[string][]string{}, alike: true, late: true}
	for _, o := range outcomes {
		if keystore.IsWrongPassphrase(o.Err) {
			return OfStorage("open the keystore", o.Err)
		}
		t.add(o)
	}
	switch {
	case (t.gaveUp || errors.Is(ctx.Err(), context.Canceled)) && t.failed+t.stopped > 0:
		return s.interrupted(ctx, t.total-t.stopped-t.failed, t.total)
	case t.failed == 0:
		return nil
	case t.total == 1:
		return t.first
	case t.late && t.failed == t.total, s.Alike && t.alike && (t.failed == t.total || KindOf(t.first) == Queued):
		return s.together(t.first, t.failed, t.total)
	}
	return s.partly(t)
}

// tally counts outcomes and collects their reasons.
type tally struct {
	total, failed, stopped int
	first                  error
	alike                  bool // all failures are of one kind
	gaveUp                 bool // the person was asked something, and interrupted it
	late                   bool // --timeout ended all that failed
	reasons                []string
	names                  map[string][]string // of VMs, by reason
}

func (t *tally) add(o Outcome) {
	switch {
	case o.Err == nil:
		return
	case errors.Is(o.Err, ErrStopped):
		t.stopped++
		return
	case t.first == nil:
		t.first = o.Err
	}
	t.failed++
	t.gaveUp = t.gaveUp || KindOf(o.Err) == Interrupted
	t.alike = t.alike && KindOf(o.Err) == KindOf(t.first)
	t.late = t.late && IsOutOfTime(o.Err)
	reason := o.Why
	if reason == "" {
		reason = Why(o.Err)
	}
	if t.names[reason] == nil {
		t.reasons = append(t.reasons, reason)
	}
	t.names[reason] = append(t.names[reason], o.Name)
}

// partly is the error of kind Partial.
func (s Sum) partly(t tally) error {
	var reasons []string
	for _, reason := range t.reasons {
		reasons = append(reasons, someOf(t.names[reason], ", ")+" ("+reason+")")
	}
	e := &Error{Kind: Partial, What: CountOf(t.failed, t.total) + " " + s.Failed, Why: someOf(reasons, "; "), Next: s.Next, Origin: s.Origin, Retryable: s.Retryable}
	if e.Origin == "" {
		e.Origin = OriginOf(t.first)
	}
	if t.stopped > 0 {
		e.What += fmt.Sprintf(", %d were stopped", t.stopped)
		e.Next = s.Cut
	}
	return e
}

// together is the failure that all have in common, told of all of them.
func (s Sum) together(first error, failed, total int) error {
	var e *Error
	if failed == 1 || !errors.As(first, &e) {
		return first
	}
	all := *e
	all.What = CountOf(failed, total) + " " + s.Failed
	if e.Kind == Queued && s.Waiting != "" {
		all.What = CountOf(failed, total) + " " + s.Waiting
	}
	return &all
}

func (s Sum) interrupted(ctx context.Context, done, total int) error {
	e := &Error{Kind: Interrupted, What: "interrupted", Why: CountOf(done, total) + " were done", Origin: OriginLocal, Next: s.Next, Err: ctx.Err()}
	if s.Cut != "" {
		e.Next = s.Cut
	}
	if total == 1 {
		e.Why = "it had not ended"
	}
	return e
}

// OfAll reports whether a VM's failure is that of all of them and is told once,
// at the end: nobody knew the keystore's passphrase, or wanted to tell it.
func OfAll(err error) bool { return keystore.IsWrongPassphrase(err) || KindOf(err) == Interrupted }

// CountOf renders "2 of 12 VMs".
func CountOf(n, total int) string { return fmt.Sprintf("%d of %d VMs", n, total) }

// Counted renders "1 VM", "2 VMs".
func Counted[N int | int64](n N, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// someOf lists texts, but not so many that nobody would read them.
func someOf(texts []string, between string) string {
	const most = 20
	if len(texts) <= most {
		return strings.Join(texts, between)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:most-1], between), len(texts)-most+1)
}
