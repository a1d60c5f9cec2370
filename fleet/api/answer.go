package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/retry"
)

// unavailable are the statuses with which a server asks to come back later.
func unavailable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// kindOf judges an answer to a request that writes, or only reads; 0 means one
// to read on. HTML is never the API: it is a proxy, a captive portal or another
// site. Nor is a conflict or an unusable body what a read ends with, unless the
// application says so itself: a read has neither.
func kindOf(writes bool, status int, w words) Kind {
	switch {
	case unavailable(status):
		return KindUnavailable
	case w.html || status < 200 || 300 <= status && status < 400:
		return KindNotVers
	case status < 300 && w.app:
		return KindInvalid
	case status < 300:
		return 0
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return KindAuth
	case http.StatusProxyAuthRequired:
		return KindProxy
	case http.StatusConflict:
		if writes || w.app {
			return KindConflict
		}
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		if writes {
			return KindInvalid
		}
	case http.StatusBadRequest:
		return KindInvalid
	case http.StatusNotFound, http.StatusGone:
		if w.app {
			return KindNotFound
		}
	}
	if w.app {
		return KindInvalid
	}
	return KindNotVers
}

// judge returns the Error of an answer that is none to read on.
func (a *attempt) judge(resp *http.Response, body []byte) error {
	w := readWords(resp.Header, body)
	kind := kindOf(a.req.method != http.MethodGet, resp.StatusCode, w)
	if kind == 0 {
		return nil
	}
	detail := ""
	if kind != KindUnavailable {
		detail = fmt.Sprintf("status %d", resp.StatusCode)
		if w.html {
			detail += ", an HTML page"
		}
	}
	e := a.fail(kind, detail)
	e.Message = a.message(resp.StatusCode, w.text)
	switch {
	case kind == KindUnavailable:
		e.Retry.After, e.Retry.HasAfter = a.askedWait(resp.Header)
		e.Retry.Transient = e.Status != http.StatusNotImplemented && e.Status != http.StatusHTTPVersionNotSupported
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		e.Detail, e.Hint = a.redirected(resp)
	}
	return e
}

// askedWait reads the wait the server asks for. Dates are measured from the
// server's own clock where it tells it.
func (a *attempt) askedWait(h http.Header) (time.Duration, bool) {
	now := a.c.cfg.Now()
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		now = t
	}
	return retry.ParseRetryAfter(h.Get("Retry-After"), h.Get("Retry-After-Ms"), now)
}

// message cleans the server's words and drops the status that Error names already.
func (a *attempt) message(status int, said string) string {
	said = a.clean(said)
	number := fmt.Sprint(status)
	return strings.TrimSpace(strings.TrimPrefix(said, number))
}

// redirected says where a redirect that was not followed leads.
func (a *attempt) redirected(resp *http.Response) (detail, hint string) {
	detail = fmt.Sprintf("status %d, a redirect", resp.StatusCode)
	to, err := resp.Location()
	if err != nil || to.Host == "" {
		return detail, a.elsewhere()
	}
	if to.Scheme == a.url.Scheme && to.Host == a.url.Host && a.req.method == http.MethodGet {
		return detail + " that leads round in a circle", a.elsewhere()
	}
	origin := a.clean(to.Scheme + "://" + to.Host)
	return detail + " to " + origin, "if the API is at " + origin + " now, set that as the API URL"
}

// elsewhere says what to try when something else answers at the API's URL.
func (a *attempt) elsewhere() string {
	base := a.c.base.String()
	switch {
	case a.req.base != nil:
		return "check the URL of the registry"
	case a.req.root || strings.Contains(a.c.base.Path+"/", "/api/"):
		return "check the API URL; a captive portal or a proxy may be answering in its place"
	}
	return "try the API URL " + base + "/api/v1; or a captive portal or a proxy is answering in its place"
}
