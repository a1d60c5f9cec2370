package retry

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Reason is why Do gave up.
type Reason string

// The reasons in Exhausted.
const (
	ReasonAttempts    Reason = "attempts"     // Policy.MaxAttempts made
	ReasonTime        Reason = "time"         // Policy.MaxElapsed or the context's deadline leaves no room for another attempt
	ReasonServerAsked Reason = "server_asked" // the server asked for a longer wait than there is time
	ReasonBudget      Reason = "budget"       // the Budget is empty
	ReasonCanceled    Reason = "canceled"     // the context ended
)

// Wait describes a pause before the next attempt.
type Wait struct {
	Attempt     int           // the attempt that failed, from 1
	Err         error         // what it failed with
	Delay       time.Duration // until the next attempt
	Next        time.Time     // when that will be
	Elapsed     time.Duration // since the first attempt began
	ServerAsked bool          // the server named a wait, and Delay respects it
}

// Exhausted is returned when a call that might have been repeated was given up. It unwraps to the last error of the
// call and, if the context ended, to the context's error.
type Exhausted struct {
	Attempts int
	Elapsed  time.Duration
	Until    time.Time // earliest moment the server wants to be asked again; zero if it named none
	Reason   Reason
	Err      error // of the last attempt
	Ctx      error // of the context, if it ended the wait
}

func (e *Exhausted) Error() string {
	return fmt.Sprintf("gave up in attempt %d, after %s: %v", e.Attempts, e.Elapsed.Round(time.Millisecond), e.Err)
}

// Unwrap returns the errors named in the type's description.
func (e *Exhausted) Unwrap() []error {
	if e.Ctx == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Ctx}
}

// Do calls op until it succeeds, fails with an error that must not be repeated, or p or ctx ends it. An error that
// must not be repeated is returned as op returned it; giving up on one that might have been is an [*Exhausted].
// onWait, if not nil, is called before every pause, on the calling goroutine. If ctx has ended before the first
// attempt, its error is returned.
func Do(ctx context.Context, p Policy, idempotent bool, onWait func(Wait), op func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p = p.withDefaults()
	start := time.Now()
	for attempt := 1; ; attempt++ {
		err := op(ctx)
		if err == nil {
			p.Budget.Success()
			return nil
		}
		hint := HintOf(err)
		if !hint.Repeatable(idempotent) {
			return err
		}
		now := time.Now()
		gaveUp := &Exhausted{Attempts: attempt, Elapsed: now.Sub(start), Err: err}
		if hint.HasAfter && hint.After > 0 {
			gaveUp.Until = now.Add(min(hint.After, MaxServerWait))
		}
		delay, reason := p.next(ctx, attempt, hint, start, now)
		if reason != "" {
			gaveUp.Reason, gaveUp.Ctx = reason, ctx.Err()
			return gaveUp
		}
		if onWait != nil {
			onWait(Wait{Attempt: attempt, Err: err, Delay: delay, Next: now.Add(delay), Elapsed: gaveUp.Elapsed,
				ServerAsked: hint.HasAfter && hint.After > 0})
		}
		if ctxErr := Sleep(ctx, delay); ctxErr != nil {
			gaveUp.Elapsed, gaveUp.Reason, gaveUp.Ctx = time.Since(start), ReasonCanceled, ctxErr
			return gaveUp
		}
	}
}

// next decides whether there is another attempt, and after which wait.
func (p Policy) next(ctx context.Context, attempt int, h Hint, start, now time.Time) (time.Duration, Reason) {
	if ctx.Err() != nil {
		return 0, ReasonCanceled
	}
	if p.MaxAttempts > 0 && attempt >= p.MaxAttempts {
		return 0, ReasonAttempts
	}
	left := time.Duration(math.MaxInt64)
	if p.MaxElapsed > 0 {
		left = start.Add(p.MaxElapsed).Sub(now)
	}
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, deadline.Sub(now))
	}
	delay, ok := p.delay(attempt, h, left)
	switch {
	case !ok && h.HasAfter && min(h.After, MaxServerWait) > left:
		return 0, ReasonServerAsked
	case !ok:
		return 0, ReasonTime
	case !p.Budget.Take():
		return 0, ReasonBudget
	}
	return delay, ""
}

// Sleep pauses for d, or until ctx ends, whose error it then returns.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
