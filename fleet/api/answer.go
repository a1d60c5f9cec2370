package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"mime"
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
func kindOf(writes bool, status int, w errorBody) Kind {
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

// checkStatus returns the Error of an answer that is none to read on.
func (a *attempt) checkStatus(resp *http.Response, body []byte) error {
	w := readErrorBody(resp.Header, body)
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
		return detail, a.wrongURLHint()
	}
	if to.Scheme == a.url.Scheme && to.Host == a.url.Host && a.req.method == http.MethodGet {
		return detail + " that leads round in a circle", a.wrongURLHint()
	}
	origin := a.clean(to.Scheme + "://" + to.Host)
	return detail + " to " + origin, "if the API is at " + origin + " now, set that as the API URL"
}

// wrongURLHint says what to try when something else answers at the API's URL.
func (a *attempt) wrongURLHint() string {
	base := a.c.base.String()
	switch {
	case a.req.base != nil:
		return "check the URL of the registry"
	case strings.Contains(a.c.base.Path+"/", "/api/"):
		return "check the API URL; a captive portal or a proxy may be answering in its place"
	}
	return "try the API URL " + base + "/api/v1; or a captive portal or a proxy is answering in its place"
}

// errorBody is what a body says, whatever its form.
type errorBody struct {
	html bool
	app  bool   // an error object of the application: it is the API that speaks
	text string // not yet cleaned
}

// readErrorBody finds the error text in a body of any of the forms in docs/platform.md.
func readErrorBody(h http.Header, body []byte) errorBody {
	body = bytes.TrimSpace(body)
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case len(body) == 0:
		return errorBody{} // whatever its type: no portal shows an empty page
	case body[0] == '[':
		return errorBody{}
	case body[0] == '{':
		if w, ok := readErrorObject(body); ok {
			return w
		}
	case body[0] == '<' || media == "text/html":
		return errorBody{html: true, text: htmlTitle(body)}
	}
	return errorBody{text: string(body[:min(len(body), 4096)]), html: media == "text/html"}
}

// readErrorObject reads {"error","success"} and {"vms":[],"error"}. An object
// with an error and other content is an answer with a remark, not an error.
func readErrorObject(body []byte) (errorBody, bool) {
	if !shallow(body, maxDepth) || !json.Valid(body) {
		return errorBody{}, false
	}
	var o map[string]json.RawMessage
	if json.Unmarshal(body, &o) != nil {
		return errorBody{}, true
	}
	var said text
	if json.Unmarshal(o["error"], &said) != nil || said == "" {
		return errorBody{app: string(o["success"]) == "false"}, true
	}
	app := true
	for name, value := range o {
		switch name {
		case "error", "success", "message", "code", "status":
		case "vms":
			app = app && (string(value) == "[]" || string(value) == "null")
		default:
			app = app && string(value) == "null"
		}
	}
	app = app || string(o["success"]) == "false"
	return errorBody{app: app, text: string(said)}, true
}

// htmlTitle returns the title of a page, which is all of it that helps.
func htmlTitle(body []byte) string {
	lower := bytes.ToLower(body)
	_, rest, ok := bytes.Cut(lower, []byte("<title"))
	if !ok {
		return ""
	}
	start := len(lower) - len(rest)
	open := bytes.IndexByte(rest, '>')
	end := bytes.Index(rest, []byte("</title"))
	if open < 0 || end < open || start+end > len(body) {
		return ""
	}
	return html.UnescapeString(string(body[start+open+1 : start+end]))
}
