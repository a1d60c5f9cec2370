package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"
)

// request describes one call. The zero method is GET.
type request struct {
	op     string // what is tried, for people
	method string
	path   string // below the base; one %s takes id
	id     string // checked to be a valid id before it touches the path
	query  url.Values
	body   any  // sent as JSON
	action bool // answered when done: Timeouts.Action applies

	base   *url.URL // instead of the client's
	bearer string   // with base: instead of the client's key
}

// attempt is one call on its way.
type attempt struct {
	c      *Client
	req    request
	url    *url.URL
	bearer string
	secret string
	trace  *trace
	status int
	size   int
}

// call makes one attempt and reads its answer. The value is returned beside an
// error where decode returned both.
func call[T any](ctx context.Context, c *Client, r request, decode func(*warnings, []byte) (T, error)) (T, error) {
	start := c.cfg.Now()
	var v T
	a, err := c.attempt(ctx, r)
	if err == nil {
		var body []byte
		if body, err = a.do(ctx); err == nil {
			n := &warnings{a: a}
			if v, err = decode(n, body); err != nil {
				err = a.unreadable(err)
			}
			n.flush()
		}
	}
	c.log(a, start, err)
	return v, err
}

// attempt checks the id, builds the URL and gets the key. What it returns is
// never nil; without an error it is ready to be sent.
func (c *Client) attempt(ctx context.Context, r request) (*attempt, error) {
	if r.method == "" {
		r.method = http.MethodGet
	}
	a := &attempt{c: c, req: r, trace: &trace{stage: StageStart}}
	base := c.base
	if r.base != nil {
		base = r.base
	}
	u := *base
	if strings.Contains(r.path, "%s") {
		if !ValidID(r.id) {
			a.url = &u
			return a, a.fail(KindInvalid, "the id is not a valid id")
		}
		r.path = fmt.Sprintf(r.path, r.id)
	}
	u.Path += r.path
	u.RawQuery = r.query.Encode()
	a.url = &u
	return a, a.authorize(ctx)
}

// authorize fills in the bearer token.
func (a *attempt) authorize(ctx context.Context) error {
	token := a.req.bearer
	if a.req.base == nil {
		var err error
		if token, err = a.c.apiKey(ctx); err != nil {
			return a.keyError(ctx, err)
		}
	}
	a.bearer, a.secret = token, secretPart(token)
	return nil
}

// do sends the request and returns the body of an answer worth reading.
func (a *attempt) do(ctx context.Context) ([]byte, error) {
	t := a.c.cfg.Timeouts
	if a.req.action {
		t.Headers, t.Whole = t.Action, t.Action
	}
	whole, stop := context.WithTimeoutCause(ctx, t.Whole, errDeadline)
	defer stop()
	callCtx, cancel := context.WithCancelCause(whole)
	defer cancel(nil)
	a.trace.arm(t.Headers, func() { cancel(errDeadline) })
	defer a.trace.disarm()

	req, err := a.build(httptrace.WithClientTrace(callCtx, a.trace.hooks()))
	if err != nil {
		return nil, a.fail(KindInvalid, a.clean(err.Error()))
	}
	resp, err := a.c.http.Do(req)
	if err != nil {
		return nil, a.transportError(ctx, callCtx, err)
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	a.c.noteClock(resp.Header)
	a.trace.answered()
	if Recorded(resp.Header) { // whatever its status: a cache must not record a cache as live
		return nil, a.fail(KindRecorded, "")
	}
	body, err := a.read(resp, func() { cancel(errDeadline) })
	switch {
	case errors.Is(err, errTooLarge):
		return nil, a.fail(KindTooLarge, fmt.Sprintf("more than %d MiB", maxBody>>20))
	case err != nil:
		return nil, a.transportError(ctx, callCtx, err)
	}
	if err := a.checkStatus(resp, body); err != nil {
		return nil, err
	}
	return body, nil
}

// read reads the body, as much of it as matters.
func (a *attempt) read(resp *http.Response, giveUp func()) ([]byte, error) {
	limit := int64(maxBody)
	if unavailable(a.status) { // its words are nice to have, not worth a wait
		limit = maxErrorBody
		defer time.AfterFunc(errorBodyTime, giveUp).Stop()
	}
	body, err := readBody(resp.Body, limit)
	a.size = len(body)
	if unavailable(a.status) || errors.Is(err, errTooLarge) && a.status >= 300 {
		err = nil
	}
	return body, err
}

// build makes the http.Request. The body can be replayed by the transport only
// where nothing of it was sent.
func (a *attempt) build(ctx context.Context) (*http.Request, error) {
	var body []byte
	if a.req.body != nil {
		var err error
		if body, err = json.Marshal(a.req.body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, a.req.method, a.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if a.req.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", a.c.cfg.UserAgent)
	if a.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+a.bearer)
	}
	return req, nil
}

// Bounds on what a server may make this program hold. They apply to what
// comes out of the decompression. A VM takes about 300 bytes in a list.
const (
	maxBody       = 16 << 20
	maxErrorBody  = 64 << 10
	maxDepth      = 64      // nesting of JSON
	maxElements   = 100_000 // entries of one list
	errorBodyTime = 2 * time.Second
)

var errTooLarge = errors.New("body too large")

// readBody reads at most limit bytes. With errTooLarge it returns the first
// limit bytes.
func readBody(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return body[:limit], errTooLarge
	}
	return body, err
}

// shallow reports whether JSON text nests at most limit deep. It may be wrong
// about text that is not JSON, which the decoder refuses anyway.
func shallow(text []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > limit {
				return false
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return true
}
