package retry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
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
			p.Budget.success()
			return nil
		}
		hint := HintOf(err)
		if !hint.repeatable(idempotent) {
			return err
		}
		now := time.Now()
		gaveUp := &Exhausted{Attempts: attempt, Elapsed: now.Sub(start), Err: err}
		if hint.HasAfter && hint.After > 0 {
			gaveUp.Until = now.Add(min(hint.After, maxServerWait))
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
	case !ok && h.HasAfter && min(h.After, maxServerWait) > left:
		return 0, ReasonServerAsked
	case !ok:
		return 0, ReasonTime
	case !p.Budget.take():
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

// Defaults of a Policy's zero fields.
const (
	defaultBase = 500 * time.Millisecond
	defaultCap  = 20 * time.Second
)

// Policy says how often and for how long a call is repeated. The zero Policy repeats until the context ends,
// with a base of 500 ms and a cap of 20 s.
type Policy struct {
	Base        time.Duration  // upper bound of the first wait
	Cap         time.Duration  // upper bound of every wait that the server did not ask for
	MaxElapsed  time.Duration  // no attempt begins later than this after the first; 0 = until the context ends
	MaxAttempts int            // attempts in all; 0 = no limit
	Budget      *Budget        // nil = unlimited
	Rand        func() float64 // uniform in [0,1); nil = math/rand/v2
}

func (p Policy) withDefaults() Policy {
	if p.Base <= 0 {
		p.Base = defaultBase
	}
	if p.Cap <= 0 {
		p.Cap = defaultCap
	}
	p.Cap = max(p.Cap, p.Base)
	if p.Rand == nil {
		p.Rand = rand.Float64
	}
	return p
}

// ceiling is the upper bound of the wait after the given attempt (1, 2, ...).
func (p Policy) ceiling(attempt int) time.Duration {
	c := p.Base
	for i := 1; i < attempt && c < p.Cap; i++ {
		c *= 2
		if c <= 0 { // overflow
			return p.Cap
		}
	}
	return min(c, p.Cap)
}

// delay draws the wait after the given attempt. left is the time until the last moment at which an attempt may begin.
// It is false when there is no use in waiting: too little time is left, or less than the server asked for.
func (p Policy) delay(attempt int, h Hint, left time.Duration) (time.Duration, bool) {
	if h.HasAfter && h.After > 0 {
		after := min(h.After, maxServerWait)
		if after > left {
			return 0, false
		}
		spread := min(max(p.ceiling(attempt), min(after, LongServerWait)), left-after)
		return after + p.jitter(spread), true
	}
	ceiling := p.ceiling(attempt)
	if left < min(p.Base, ceiling) {
		return 0, false
	}
	return p.jitter(min(ceiling, left)), true
}

func (p Policy) jitter(width time.Duration) time.Duration {
	return time.Duration(p.Rand() * float64(width))
}

// Budget is a token bucket that bounds the retries of all calls sharing it. It starts full. Each retry takes one
// token, each success gives a fraction back. It is safe for concurrent use; a nil *Budget is unlimited.
type Budget struct {
	mu         sync.Mutex
	tokens     float64
	capacity   float64
	perSuccess float64
}

// NewBudget returns a full bucket of capacity tokens to which every success adds perSuccess. Negative numbers
// count as zero.
func NewBudget(capacity int, perSuccess float64) *Budget {
	c := float64(max(capacity, 0))
	return &Budget{tokens: c, capacity: c, perSuccess: max(perSuccess, 0)}
}

// take takes one token and reports whether there was one.
func (b *Budget) take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// success gives back what one successful call is worth.
func (b *Budget) success() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.capacity, b.tokens+b.perSuccess)
}

// Hint is what an error says about trying again. The zero Hint means: do not.
type Hint struct {
	Transient bool          // may go away by itself
	Unsent    bool          // the request certainly did not reach the server: safe to repeat whatever it was
	After     time.Duration // wait the server asked for, from when the error was made; valid if HasAfter
	HasAfter  bool
}

// Hinter is an error that knows whether trying again makes sense.
type Hinter interface {
	error
	RetryHint() Hint
}

// HintOf returns the hint of the first [Hinter] in err's tree, or the zero Hint. An error that [Do] has
// already given up on has no hint left, so nested loops do not multiply attempts.
func HintOf(err error) Hint {
	if _, gaveUp := errors.AsType[*Exhausted](err); gaveUp {
		return Hint{}
	}
	if h, ok := errors.AsType[Hinter](err); ok {
		return h.RetryHint()
	}
	return Hint{}
}

// repeatable reports whether a call that failed with this hint may be made again.
func (h Hint) repeatable(idempotent bool) bool {
	return h.Transient && (idempotent || h.Unsent)
}
