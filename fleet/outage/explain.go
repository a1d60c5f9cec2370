package outage

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Explain gives a failed API call its kind and its words. what completes
// "cannot ...".
func (a *API) Explain(what string, err error) error {
	return problem.Of(context.Background(), err, problem.Error{Kind: problem.Unexpected, What: "cannot " + what, Origin: problem.OriginAPI}, func(e *problem.Error) {
		var ae *api.Error
		switch {
		case e.Kind == problem.Interrupted: // also while waiting for the next attempt
		case errors.As(err, &ae):
			a.describe(e, ae)
		case errors.Is(err, context.DeadlineExceeded):
			e.Kind, e.Why, e.Retryable = problem.Unavailable, "no answer from the API in the time given", true
		}
		var gaveUp *retry.Exhausted
		if e.Kind == problem.Unavailable && errors.As(err, &gaveUp) {
			e.Why += a.gaveUp(gaveUp)
		}
	})
}

// describe fills in what follows from the API client's error.
func (a *API) describe(e *problem.Error, ae *api.Error) {
	e.Why, e.Next = ae.Reason(), ae.Hint
	switch k := ae.Kind; {
	case k == api.KindCanceled:
		e.Kind, e.What, e.Why, e.Origin = problem.Interrupted, "interrupted", "", problem.OriginLocal
	case k == api.KindNoKey:
		e.Kind, e.Origin = problem.Auth, problem.OriginLocal
		e.Next = cmp.Or(e.Next, "set VERS_API_KEY, or run: vers-fleet config init")
	case k == api.KindAuth:
		e.Kind = problem.Auth
		e.Next = cmp.Or(e.Next, "check the API key (vers-fleet config view); what was recorded is still there: add --offline")
	case k == api.KindNotFound:
		e.Kind = problem.NotFound
	case k == api.KindInvalid && ae.Stage == api.StageStart:
		e.Kind, e.Origin = problem.Usage, problem.OriginLocal
	case k == api.KindInvalid, k == api.KindConflict:
		e.Kind = problem.Refused
		e.Next = cmp.Or(e.Next, refusedAdvice(ae.Method))
	case k.Unreachable():
		e.Kind, e.Retryable = problem.Unavailable, true
		if k.Local() {
			e.Origin = problem.OriginLocal
		}
		if k == api.KindDNS {
			e.Why += ": " + ae.Host
		}
		if k == api.KindNotVers || k == api.KindDNS || k == api.KindTLS {
			e.Next = cmp.Or(a.wrongBase(), e.Next)
		}
		e.Next = cmp.Or(e.Next, a.firstRun(), "vers-fleet wait returns when the API answers again; vers-fleet status says what is known")
	}
}

// firstRun is the advice for an outage that meets somebody whose keystore holds
// nothing yet; "" for everybody else.
func (a *API) firstRun() string {
	if ids, err := a.o.Store.IDs(); err != nil || len(ids) > 0 {
		return ""
	}
	return "nothing is recorded here yet; other Vers clients may have left keys: vers-fleet keys import --found; see: vers-fleet help outage"
}

// refusedAdvice is what to do about an API that refuses a sound request.
func refusedAdvice(method string) string {
	if method == "GET" {
		return "what was recorded is still there: add --offline"
	}
	return "see how the VMs are, then try again: vers-fleet vms --live"
}

// gaveUp says until when not to ask, after a reason. How hard it was tried is a
// detail.
func (a *API) gaveUp(g *retry.Exhausted) string {
	a.o.Logf("gave up after %s in %s", problem.Counted(g.Attempts, "attempt"), g.Elapsed.Round(100*time.Millisecond))
	if g.Until.IsZero() {
		return ""
	}
	return "; it asks to be left alone until " + problem.Clock(g.Until)
}

// OfflineError is why the API was not asked with --offline.
func OfflineError(what string) *problem.Error {
	return &problem.Error{Kind: problem.Unavailable, What: "cannot " + what, Why: "--offline forbids calling the API, and nothing recorded can serve instead",
		Next: "run it once without --offline while the API is up", Origin: problem.OriginLocal}
}

// heldError is why the API was not asked while it is known to be down.
func (a *API) heldError(what string, s retry.State) *problem.Error {
	e := &problem.Error{Kind: problem.Unavailable, What: "cannot " + what, Why: a.downReason(s), Origin: problem.OriginAPI, Retryable: true,
		Next: cmp.Or(a.firstRun(), "add --wait to wait for it, or run: vers-fleet wait")}
	if s.Outage != nil {
		e.Lasting = "the API was down since " + problem.Moment(s.Outage.Start)
		if s.LastError != nil {
			e.Lasting += ": " + s.LastError.Cause.Text()
		}
	}
	if s.Condition() == retry.Portal {
		e.Next = a.wrongBase()
	}
	if s.Condition() == retry.Portal && e.Next == "" {
		e.Next = "check the API URL (vers-fleet config view); it usually ends in /api/v1"
	}
	return e
}
