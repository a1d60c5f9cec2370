package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Source says whether an answer came from the API just now or from the record.
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
	Outage  *problem.Error // why the record had to serve; nil for a live answer and with --offline
	Unsaved error          // a live answer that could not be recorded: kind Storage
}

// call is one question to the API.
type call[T any] struct {
	what       string // completes "cannot ...": "list the VMs"
	repeatable bool   // may be sent twice without acting twice
	soon       bool   // somebody wants to know now: probe as soon as may be
	quick      bool   // the record answers when the API has not within probeTimeout
	insist     bool   // ask even while the API is believed to be down
	acts       bool   // changes something: it is never what finds out whether the API is back
	live       func(context.Context, *api.Client) (T, error)
	keep       func(T) error                // records a good answer; nil: nothing to record
	recorded   func() (T, time.Time, error) // the record's answer; nil: it has none
}

// probeTimeout bounds the single attempt that one process at a time makes
// while the API is known to be down: long enough for a slow but healthy
// answer, short enough for a person to wait for.
const probeTimeout = 3 * time.Second

// briefAttempts is how often the API is asked before the record, which is at
// hand, answers instead: often enough to step over a hiccup.
const briefAttempts = 3

// reach is the one offline rule: ask the API first, and let the record answer
// only when the API is unreachable. A 401, 403 or 404 is an answer; it is
// returned as it is and never replaced by the record. While the API is known
// to be down the record answers at once, and one process at a time probes.
func reach[T any](ctx context.Context, f *Fleet, c call[T]) (Answer[T], error) {
	if f.o.Mode == Offline {
		return fallback(f, c, offlineError(c.what))
	}
	if f.o.Mode == Wait {
		return waitAndReach(ctx, f, c)
	}
	// What nothing recorded can answer is worth asking as soon as may be.
	permit, state := f.memory.Ask(f.o.Mode != Auto || c.recorded == nil || c.soon)
	if permit == retry.PermitHold && c.insist && !state.NotBefore.After(f.o.Now()) { // never earlier than the API allows
		permit = retry.PermitProbe
	}
	if permit == retry.PermitHold {
		return fallback(f, c, f.heldError(c.what, state))
	}
	value, err := attempt(ctx, f, c, permit)
	if err == nil {
		return kept(f, c, value), nil
	}
	failure := f.apiError(c.what, err)
	// A person who gives the API only so long (--timeout) wants the record then.
	if isUnreachable(err) && !errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fallback(f, c, failure)
	}
	return Answer[T]{}, failure
}

// waitAndReach is reach with --wait: it asks, and waits for the API to return
// and asks again, until it is answered or the time is over.
func waitAndReach[T any](ctx context.Context, f *Fleet, c call[T]) (Answer[T], error) {
	began := f.o.Now()
	for {
		if permit, _ := f.memory.Ask(true); permit != retry.PermitHold {
			value, err := attempt(ctx, f, c, permit)
			if err == nil {
				return kept(f, c, value), nil
			}
			var gaveUp *retry.Exhausted // only what may be repeated is given up on
			if ctx.Err() != nil || !errors.As(err, &gaveUp) || !isUnreachable(err) {
				return Answer[T]{}, f.apiError(c.what, err)
			}
		}
		if err := f.awaitAPI(ctx, began, f.o.WaitFor); err != nil {
			return Answer[T]{}, err
		}
	}
}

// attempt asks the API, repeating what may be repeated, and tells the outage
// memory how it went. Anything the API itself said, a refusal too, is proof
// that it is up.
func attempt[T any](ctx context.Context, f *Fleet, c call[T], permit retry.Permit) (T, error) {
	var value T
	caller := ctx
	client, err := f.client()
	if err != nil {
		f.remember(err, 0, 0)
		return value, err
	}
	if permit == retry.PermitProbe && c.acts {
		if err := f.probe(ctx, client); err != nil {
			return value, &retry.Exhausted{Attempts: 1, Err: err}
		}
		permit = retry.PermitCall
	}
	policy := f.policy(c.recorded != nil, permit)
	if (permit == retry.PermitProbe || c.quick) && c.recorded != nil {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, probeTimeout)
		defer stop()
	}
	calls, began := 0, f.o.Now()
	done := func() {}
	err = retry.Do(ctx, policy, c.repeatable, func(w retry.Wait) {
		done()
		f.stumbled(w.Err)
		done = f.o.OnWait(f.waiting(c.what, w))
	}, func(ctx context.Context) (err error) {
		done()
		done = f.o.OnWait(Waiting{What: c.what})
		calls, began = calls+1, f.o.Now()
		value, err = c.live(ctx, client)
		return err
	})
	done()
	latency := f.o.Now().Sub(began)
	if err != nil && errors.Is(caller.Err(), context.DeadlineExceeded) && latency < probeTimeout {
		calls = 0 // that a caller is in a hurry proves nothing about the API
	}
	if permit == retry.PermitCall && c.quick && caller.Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		f.stumbled(err)
		calls = 0 // slow is not down
	}
	f.remember(err, calls, latency)
	return value, err
}

// policy is how long a call is repeated: briefly when the record is at hand,
// and not at all when it only finds out whether the API is back.
func (f *Fleet) policy(recorded bool, permit retry.Permit) retry.Policy {
	p := f.o.Retry
	if recorded && f.o.Mode == Auto {
		p.MaxAttempts = briefAttempts
	}
	if permit == retry.PermitProbe {
		p.MaxAttempts = 1
	}
	return p
}

// kept records a live answer. Failing to is reported beside the answer: it
// must end in a non-zero exit, but it must not hide what the API said.
func kept[T any](f *Fleet, c call[T], value T) Answer[T] {
	a := Answer[T]{Value: value, Source: FromAPI, AsOf: f.o.Now()}
	if c.keep != nil {
		if err := c.keep(value); err != nil {
			a.Unsaved = problem.OfStorage("record what the API said", err)
		}
	}
	return a
}

// fallback lets the record answer because of why, which is returned when the
// record has nothing to say or must not be asked.
func fallback[T any](f *Fleet, c call[T], why error) (Answer[T], error) {
	if c.recorded == nil || f.o.Mode == Live {
		return Answer[T]{}, why
	}
	value, asOf, err := c.recorded()
	if errors.Is(err, errNothingRecorded) {
		return Answer[T]{}, why
	}
	if err != nil {
		return Answer[T]{}, problem.OfStorage("read what was recorded", err)
	}
	f.tellForeign()
	a := Answer[T]{Value: value, Source: FromCache, AsOf: asOf}
	if f.o.Mode != Offline {
		errors.As(why, &a.Outage)
	}
	return a, nil
}

// errNothingRecorded is what a call's recorded func returns when there is no
// record yet.
var errNothingRecorded = errors.New("nothing recorded yet")

// isUnreachable reports whether err means that the API gave no answer of its
// own, so that the record may serve instead.
func isUnreachable(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Kind.Unreachable()
}
