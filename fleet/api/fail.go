package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/vers-fleet/vers-fleet/retry"
)

// fail returns the Error of this attempt as it stands.
func (a *attempt) fail(kind Kind, detail string) *Error {
	stage, sent, _, _ := a.trace.seen()
	e := &Error{
		Op: a.req.op, Method: a.req.method, Host: a.url.Host, Path: a.url.Path,
		Kind: kind, Stage: stage, Status: a.status, Detail: detail, Sent: sent,
		Retry: retry.Hint{Transient: kind.info().transient, Unsent: !sent},
	}
	if kind == KindNotVers {
		e.Hint = a.elsewhere()
	}
	return e
}

// refuse is the Error of a request that is wrong before it is sent.
func (c *Client) refuse(r request, detail string) error {
	if r.method == "" {
		r.method = http.MethodGet
	}
	a := &attempt{c: c, req: r, url: c.base, trace: &trace{stage: StageStart}}
	e := a.fail(KindInvalid, detail)
	e.Path = ""
	return e
}

// cause makes err fit to travel inside an Error: what it says stays clean and
// free of secrets. Where that needs changes, the chain below is given up.
func (a *attempt) cause(err error) error {
	if err == nil {
		return nil
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	said := err.Error()
	if safe := a.clean(said); safe != said {
		if leaf := plainCause(err); leaf != nil {
			return leaf
		}
		return errors.New(safe)
	}
	return err
}

// unreadable turns what a decoder says into an Error.
func (a *attempt) unreadable(err error) error {
	s, ok := errors.AsType[*shapeError](err)
	if !ok {
		s = &shapeError{kind: KindNotVers}
	}
	return a.fail(s.kind, a.clean(s.detail))
}
