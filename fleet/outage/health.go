package outage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/retry"
)

// remember tells the outage memory how a call ended. Whatever the API itself
// said is proof that it is up; a call the caller gave up proves nothing.
func (a *API) remember(err error, calls int, latency time.Duration) {
	if calls > 0 && err == nil {
		a.heard.Store(true)
	}
	a.rememberIn(a.memory, err, calls, latency)
}

func (a *API) rememberIn(m *retry.Memory, err error, calls int, latency time.Duration) {
	var ae *api.Error
	var problem error
	switch {
	case calls == 0:
		problem = m.Abandoned() // nothing was asked
	case err == nil, errors.As(err, &ae) && !ae.Kind.Unreachable() && ae.Status != 0:
		problem = m.Succeeded(latency)
	case ae != nil && !ae.Kind.Unreachable(), errors.Is(err, context.Canceled):
		problem = m.Abandoned() // interrupted, or refused before it was sent
	default:
		problem = m.Failed(failure(err, ae, calls))
	}
	if problem != nil {
		a.o.Logf("the outage memory could not be written: %v", problem)
	}
}

// Stumbled tells the outage memory of an attempt that will be repeated: the
// first sign of an outage.
func (a *API) Stumbled(err error) {
	var ae *api.Error
	if errors.As(err, &ae) && ae.Kind.Unreachable() {
		if err := a.memory.FailedAttempt(failure(err, ae, 1)); err != nil {
			a.o.Logf("the outage memory could not be written: %v", err)
		}
	}
}

// failure puts an API error into the outage memory's terms.
func failure(err error, ae *api.Error, calls int) retry.Failure {
	if ae == nil {
		return retry.Failure{Cause: retry.CauseTimeout, Detail: err.Error(), Calls: calls}
	}
	out := retry.Failure{Cause: cause(ae), Detail: ae.Reason(), Local: ae.Kind.Local(), Calls: calls}
	if ae.Retry.HasAfter {
		out.After = ae.Retry.After
	}
	return out
}

func cause(e *api.Error) retry.Cause {
	switch e.Kind {
	case api.KindUnavailable:
		return retry.CauseHTTP(e.Status)
	case api.KindTimeout:
		return retry.CauseTimeout
	case api.KindRefused:
		return retry.CauseRefused
	case api.KindReset:
		return retry.CauseReset
	case api.KindTruncated:
		return retry.CauseTruncated
	case api.KindNotVers:
		return retry.CauseNotVers
	case api.KindRecorded:
		return retry.CauseRecorded
	case api.KindNoNetwork:
		return retry.CauseNoNetwork
	case api.KindDNS:
		return retry.CauseDNS
	case api.KindTLS:
		return retry.CauseTLS
	}
	return retry.CauseOther
}

// downReason says in one clause why the API is not asked now.
func (a *API) downReason(s retry.State) string {
	now := a.o.Now()
	since := ""
	if s.Outage != nil {
		since = fmt.Sprintf("since %s (%s)", problem.Clock(s.Outage.Start), problem.Ago(now, s.Outage.Start))
	}
	switch condition := s.Condition(); {
	case condition == retry.Limited:
		return "the API asks for fewer calls (429) " + since + a.nextTry(s)
	case condition == retry.Portal:
		return "something other than the Vers API answers in its place " + since + a.nextTry(s)
	case s.Outage != nil:
		text := "the API has been down " + since
		if s.LastError != nil {
			text += ": " + s.LastError.Cause.Text()
		}
		return text + a.nextTry(s)
	case s.Local != nil:
		return fmt.Sprintf("%s (%s)", s.Local.Cause.Text(), problem.Ago(now, s.Local.Last))
	case s.NotBefore.After(now):
		return askedToWait(s)
	}
	return "the API is not asked right now"
}

// nextTry tells when the API is asked again by whoever is in no hurry.
func (a *API) nextTry(s retry.State) string {
	if !s.NextProbe.After(a.o.Now()) {
		return ""
	}
	if s.NotBefore.Sub(a.o.Now()) > retry.LongServerWait {
		return "; it asks not to be called before " + problem.Clock(s.NotBefore) + ", so there is no use in asking earlier"
	}
	return "; next try at " + problem.Clock(s.NextProbe)
}

// askedToWait is the reason of a pause that the API asked for.
func askedToWait(s retry.State) string {
	return "the API asks to be left alone until " + problem.Clock(s.NotBefore)
}

// leaveAlone waits as long as the API asked another call to that is repeated
// then, if there was one. It reports whether it did.
func (a *API) leaveAlone(ctx context.Context, what string, s retry.State) bool {
	left := s.NotBefore.Sub(a.o.Now())
	if s.Down() || left <= 0 || left > a.o.Retry.MaxElapsed {
		return false
	}
	defer a.o.OnWait(Waiting{What: what, Attempt: 1, Next: s.NotBefore, Reason: askedToWait(s)})()
	return retry.Sleep(ctx, left) == nil
}

// waiting describes a pause between two attempts.
func (a *API) waiting(what string, w retry.Wait) Waiting {
	out := Waiting{What: what, Attempt: w.Attempt, Reason: Reason(w.Err), Next: w.Next}
	if s, err := a.memory.State(); err == nil && s.Outage != nil {
		out.DownSince = s.Outage.Start
		out.Forecast = s.Forecast(a.o.Now()).String()
	} else {
		out.DownSince = a.o.Now().Add(-w.Elapsed)
	}
	return out
}

// Reason is an error in as few words as the API client has for it.
func Reason(err error) string {
	var ae *api.Error
	if errors.As(err, &ae) {
		return ae.Reason()
	}
	return err.Error()
}

// Await returns nil as soon as the API answers, and an *Error of kind
// Unavailable when limit (0 = none) has passed without. One process of the
// profile probes at a time; the others watch what it finds, and ask nothing
// themselves once it was answered.
func (a *API) Await(ctx context.Context, limit time.Duration) error {
	return a.awaitSince(ctx, a.o.Now(), limit)
}

// awaitSince is Await for somebody who has been waiting since a moment.
func (a *API) awaitSince(ctx context.Context, since time.Time, limit time.Duration) error {
	began := a.o.Now()
	if limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, limit-began.Sub(since))
		defer stop()
	}
	client, err := a.client()
	if err != nil {
		return a.Explain("reach the API", err)
	}
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return a.awaitEnded(err, a.o.Now().Sub(since))
		}
		permit, state := a.memory.Ask(retry.Now)
		if answeredSince(state, began) {
			return nil
		}
		if permit != retry.PermitHold {
			if err = a.probe(ctx, client); !Unreachable(err) {
				return a.answered(err)
			}
			state, _ = a.memory.State()
		}
		if err := a.pauseUntilProbe(ctx, state, began, attempt, err); err != nil {
			return a.awaitEnded(err, a.o.Now().Sub(since))
		}
	}
}

// probe asks the API the cheapest question that needs a key.
func (a *API) probe(ctx context.Context, client *api.Client) error {
	ctx, stop := context.WithTimeout(ctx, 3*a.Brief())
	defer stop()
	began := a.o.Now()
	_, err := client.VMs(ctx)
	a.remember(err, 1, a.o.Now().Sub(began))
	return err
}

// answered is nil when the API answered what was asked.
func (a *API) answered(err error) error {
	if err == nil {
		return nil
	}
	return a.Explain("reach the API", err)
}

// watchInterval is how often a waiting process looks at what others found.
const watchInterval = time.Second

// answeredSince reports whether the API has answered any process after t, and
// nothing has gone wrong since.
func answeredSince(s retry.State, t time.Time) bool {
	return !s.Down() && s.Local == nil && s.LastAnswer.After(t)
}

// pauseUntilProbe waits until it is worth asking again: the next probe is due,
// or the API has answered another process since the wait began.
func (a *API) pauseUntilProbe(ctx context.Context, s retry.State, began time.Time, attempt int, last error) error {
	next := s.NextPoll(a.o.Now(), attempt == 1 && last == nil)
	w := Waiting{What: "reach the API", Attempt: attempt, Next: next, Reason: a.downReason(s)}
	if s.Outage != nil {
		w.DownSince, w.Forecast = s.Outage.Start, s.Forecast(a.o.Now()).String()
	}
	switch {
	case last != nil:
		w.Reason = Reason(last)
	case s.Condition() == retry.Down && s.LastError != nil: // since when is said beside it
		w.Reason = s.LastError.Cause.Text()
	}
	done := a.o.OnWait(w)
	defer done()
	for a.o.Now().Before(next) {
		if err := retry.Sleep(ctx, min(watchInterval, next.Sub(a.o.Now()))); err != nil {
			return err
		}
		if now, err := a.memory.State(); err == nil && answeredSince(now, began) {
			return nil
		}
	}
	return ctx.Err()
}

// awaitEnded is the error of a wait whose time is over, or that was interrupted.
func (a *API) awaitEnded(err error, waited time.Duration) error {
	if errors.Is(err, context.Canceled) {
		return a.Explain("wait for the API", err)
	}
	s, _ := a.memory.State()
	return &problem.Error{Kind: problem.Unavailable, What: fmt.Sprintf("the API did not answer within %s", waited.Round(time.Second)),
		Why: a.downReason(s), Next: "what is recorded works meanwhile: vers-fleet vms, ssh, pull", Origin: problem.OriginAPI, Retryable: true, Err: err}
}

// CauseText says in words what one of an outage's recorded causes was.
func CauseText(cause string) string { return retry.Cause(cause).Text() }
