package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/retry"
)

// apiError gives a failed API call its kind and its words. what completes
// "cannot ...".
func (f *Fleet) apiError(what string, err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	e := &Error{Kind: Unexpected, What: "cannot " + what, Why: err.Error(), Origin: OriginAPI, Err: err}
	var ae *api.Error
	switch {
	case errors.Is(err, context.Canceled): // also while waiting for the next attempt
		e.Kind, e.Why, e.Origin = Interrupted, "interrupted", OriginLocal
	case errors.As(err, &ae):
		f.describe(e, ae)
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Why, e.Retryable = Unavailable, "no answer from the API in the time given", true
	}
	var gaveUp *retry.Exhausted
	if e.Kind == Unavailable && errors.As(err, &gaveUp) {
		e.Why += f.gaveUp(gaveUp)
	}
	return e
}

// describe fills in what follows from the API client's error.
func (f *Fleet) describe(e *Error, ae *api.Error) {
	e.Why, e.Next = ae.Reason(), ae.Hint
	switch k := ae.Kind; {
	case k == api.KindCanceled:
		e.Kind, e.Why, e.Origin = Interrupted, "interrupted", OriginLocal
	case k == api.KindNoKey:
		e.Kind, e.Origin = Auth, OriginLocal
		e.Next = orElse(e.Next, "set VERS_API_KEY, or run: vers-fleet config init")
	case k == api.KindAuth:
		e.Kind = Auth
		e.Next = orElse(e.Next, "check the API key (vers-fleet config view); what was recorded is still there: add --offline")
	case k == api.KindNotFound:
		e.Kind = NotFound
	case k == api.KindInvalid && ae.Stage == api.StageStart:
		e.Kind, e.Origin = Usage, OriginLocal
	case k == api.KindInvalid, k == api.KindConflict:
		e.Kind = Refused
		e.Next = orElse(e.Next, refusedAdvice(ae.Method))
	case k.Unreachable():
		e.Kind, e.Retryable = Unavailable, true
		if k.Local() {
			e.Origin = OriginLocal
		}
		e.Next = orElse(e.Next, "vers-fleet wait returns when the API answers again; vers-fleet status says what is known")
	}
}

// refusedAdvice is what to do about an API that refuses a sound request.
func refusedAdvice(method string) string {
	if method == "GET" {
		return "what was recorded is still there: add --offline"
	}
	return "see how the VMs are, then try again: vers-fleet vms --live"
}

// gaveUp says how long and until when, after a reason.
func (f *Fleet) gaveUp(g *retry.Exhausted) string {
	text := ""
	if g.Attempts > 1 {
		text = fmt.Sprintf(" (%d attempts in %s)", g.Attempts, g.Elapsed.Round(100*time.Millisecond))
	}
	if !g.Until.IsZero() {
		text += fmt.Sprintf("; it asks to be left alone until %s", clock(g.Until))
	}
	return text
}

// offlineError is why the API was not asked with --offline.
func offlineError(what string) *Error {
	return &Error{Kind: Unavailable, What: "cannot " + what, Why: "--offline forbids calling the API, and nothing recorded can serve instead",
		Next: "run it once without --offline while the API is up", Origin: OriginLocal}
}

// heldError is why the API was not asked while it is known to be down.
func (f *Fleet) heldError(what string, s retry.State) *Error {
	e := &Error{Kind: Unavailable, What: "cannot " + what, Why: f.downReason(s), Origin: OriginAPI, Retryable: true,
		Next: "add --wait to wait for it, or run: vers-fleet wait"}
	if s.LastError != nil && s.LastError.Cause == retry.CauseNotVers {
		e.Next = "check the API URL (vers-fleet config view); it usually ends in /api/v1"
	}
	return e
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// clock renders a moment for an error text: the time of day in UTC, with the
// date when it is not close.
func clock(t time.Time) string {
	t = t.UTC()
	if d := time.Until(t); d < 12*time.Hour && d > -12*time.Hour {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// ago renders how long ago t was, for an error text.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
