package outage

import (
	"context"
	"errors"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Source says whether an answer came from the API just now or from the cache.
type Source string

// The sources.
const (
	FromAPI   Source = "live"
	FromCache Source = "cache"
)

// Answer is a value with its provenance.
type Answer[T any] struct {
	Value   T
	Source  Source
	AsOf    time.Time
	Outage  *problem.Error // why the cache had to serve; nil for a live answer and with --offline
	Unsaved error          // a live answer that could not be recorded: kind Storage
}

// Call is one question to the API.
type Call[T any] struct {
	Mode       Mode
	What       string  // completes "cannot ...": "list the VMs"
	Repeatable bool    // may be sent twice without acting twice
	Urgency    Urgency // of the answer, while the API is down
	Quick      bool    // the cache answers when the API has not within Brief
	Insist     bool    // ask even while the API is believed to be down
	Acts       bool    // changes something: it is never what finds out whether the API is back
	Live       func(context.Context, *api.Client) (T, error)
	Keep       func(T) error                // records a good answer; nil: nothing to record
	Cached     func() (T, time.Time, error) // the cache's answer; nil: it has none
}

// ProbeTimeout bounds the single attempt that one process at a time makes
// while the API is known to be down: long enough for a slow but healthy
// answer, short enough for a person to wait for.
const ProbeTimeout = 3 * time.Second

// briefAttempts is how often the API is asked before the cache, which is at
// hand, answers instead: often enough to step over a hiccup.
const briefAttempts = 3

// Ask is the one offline rule: ask the API first, and let the cache answer
// only when the API is unreachable. A 401, 403 or 404 is an answer; it is
// returned as it is and never replaced by the cache. While the API is known
// to be down the cache answers at once, and one process at a time probes.
func Ask[T any](ctx context.Context, a *API, c Call[T]) (Answer[T], error) {
	mode := a.mode(c.Mode)
	if mode == Offline {
		return fallback(a, c, OfflineError(c.What))
	}
	if mode == Wait {
		return waitAndAsk(ctx, a, c)
	}
	// What nothing recorded can answer is worth asking as soon as may be.
	urgency := c.Urgency
	if mode != Auto || c.Cached == nil {
		urgency = Now
	}
	permit, state := a.memory.Ask(urgency)
	if permit == retry.PermitHold && c.Cached == nil && a.leaveAlone(ctx, c.What, state) {
		permit, state = a.memory.Ask(urgency)
	}
	if permit == retry.PermitHold && c.Insist && !state.NotBefore.After(a.o.Now()) { // never earlier than the API allows
		permit = retry.PermitProbe
	}
	if permit == retry.PermitHold {
		return fallback(a, c, a.heldError(c.What, state))
	}
	value, err := attempt(ctx, a, c, permit)
	if err == nil {
		return kept(a, c, value), nil
	}
	failure := a.Explain(c.What, err)
	// Nobody was asked where there is no API key: a colleague who was given a
	// bundle of keys has none, and is served all the same.
	if mode == Auto && noKey(err) && c.Cached != nil {
		return fallback(a, c, failure)
	}
	// A person who gives the API only so long (--timeout) wants the cache then.
	if Unreachable(err) && !errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fallback(a, c, failure)
	}
	return Answer[T]{}, failure
}

// waitAndAsk is Ask with --wait: it asks, and waits for the API to return
// and asks again, until it is answered or the time is over.
func waitAndAsk[T any](ctx context.Context, a *API, c Call[T]) (Answer[T], error) {
	began := a.o.Now()
	for {
		if permit, _ := a.memory.Ask(retry.Now); permit != retry.PermitHold {
			value, err := attempt(ctx, a, c, permit)
			if err == nil {
				return kept(a, c, value), nil
			}
			var gaveUp *retry.Exhausted // only what may be repeated is given up on
			if ctx.Err() != nil || !errors.As(err, &gaveUp) || !Unreachable(err) {
				return Answer[T]{}, a.Explain(c.What, err)
			}
		}
		if err := a.awaitSince(ctx, began, a.o.WaitFor); err != nil {
			return Answer[T]{}, err
		}
	}
}

// attempt asks the API, repeating what may be repeated, and tells the outage
// memory how it went. Anything the API itself said, a refusal too, is proof
// that it is up.
func attempt[T any](ctx context.Context, a *API, c Call[T], permit retry.Permit) (T, error) {
	var value T
	caller := ctx
	client, err := a.client()
	if err != nil {
		a.remember(err, 0, 0)
		return value, err
	}
	if permit == retry.PermitProbe && c.Acts {
		if err := a.probe(ctx, client); err != nil {
			return value, &retry.Exhausted{Attempts: 1, Err: err}
		}
		permit = retry.PermitCall
	}
	policy := a.policy(c.Mode, c.Cached != nil, permit)
	if (permit == retry.PermitProbe || c.Quick) && c.Cached != nil {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, a.Brief())
		defer stop()
	}
	calls, began := 0, a.o.Now()
	done := func() {}
	err = retry.Do(ctx, policy, c.Repeatable, func(w retry.Wait) {
		done()
		a.Stumbled(w.Err)
		done = a.o.OnWait(a.waiting(c.What, w))
	}, func(ctx context.Context) (err error) {
		done()
		done = a.o.OnWait(Waiting{What: c.What})
		calls, began = calls+1, a.o.Now()
		value, err = c.Live(ctx, client)
		return err
	})
	done()
	latency := a.o.Now().Sub(began)
	if err != nil && errors.Is(caller.Err(), context.DeadlineExceeded) && latency < a.Brief() {
		calls = 0 // that a caller is in a hurry proves nothing about the API
	}
	if permit == retry.PermitCall && c.Quick && caller.Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		a.Stumbled(err)
		calls = 0 // slow is not down
	}
	a.remember(err, calls, latency)
	return value, err
}

// policy is how long a call is repeated: briefly when the cache is at hand,
// and not at all when it only finds out whether the API is back.
func (a *API) policy(m Mode, recorded bool, permit retry.Permit) retry.Policy {
	p := a.o.Retry
	if recorded && a.mode(m) == Auto {
		p.MaxAttempts = briefAttempts
	}
	if permit == retry.PermitProbe {
		p.MaxAttempts = 1
	}
	return p
}

// kept records a live answer. Failing to is reported beside the answer: it
// must end in a non-zero exit, but it must not hide what the API said.
func kept[T any](a *API, c Call[T], value T) Answer[T] {
	ans := Answer[T]{Value: value, Source: FromAPI, AsOf: a.o.Now()}
	if c.Keep != nil {
		if err := c.Keep(value); err != nil {
			ans.Unsaved = problem.OfStorage("record what the API said", err)
		}
	}
	return ans
}

// fallback lets the cache answer because of why, which is returned when the
// record has nothing to say or must not be asked.
func fallback[T any](a *API, c Call[T], why error) (Answer[T], error) {
	if c.Cached == nil || a.mode(c.Mode) == Live {
		return Answer[T]{}, why
	}
	value, asOf, err := c.Cached()
	if errors.Is(err, ErrNothingCached) {
		return Answer[T]{}, why
	}
	if err != nil {
		return Answer[T]{}, problem.OfStorage("read what was recorded", err)
	}
	a.warnForeign()
	ans := Answer[T]{Value: value, Source: FromCache, AsOf: asOf}
	if a.mode(c.Mode) != Offline {
		errors.As(why, &ans.Outage)
	}
	return ans, nil
}

// ErrNothingCached is what a call's recorded func returns when there is no
// record yet.
var ErrNothingCached = errors.New("nothing recorded yet")

// Unreachable reports whether err means that the API gave no answer of its
// own, so that the cache may serve instead.
func Unreachable(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Kind.Unreachable()
}

// noKey reports whether err means that there is no API key to ask with.
func noKey(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Kind == api.KindNoKey
}
