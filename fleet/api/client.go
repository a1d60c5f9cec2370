package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vers-fleet/vers-fleet/retry"
)

// Config is what a [Client] needs. Only BaseURL is required.
type Config struct {
	// BaseURL is the base of all paths, for example https://api.vers.ai or
	// https://api.vers.sh/api/v1.
	BaseURL string
	// APIKey returns the key. It is called when the first request needs it and
	// again until it has succeeded once, never by two calls at the same time.
	APIKey    func(context.Context) (string, error)
	UserAgent string
	// RootCAs are the certificate authorities to trust; nil means the system's,
	// where SSL_CERT_FILE and SSL_CERT_DIR have their say.
	RootCAs  *x509.CertPool
	Timeouts Timeouts
	// Warn is told, in one printable line, what was left out of an answer that
	// was otherwise usable. Logf gets one line per call. Both may be called
	// from several goroutines; nil means not wanted.
	Warn func(string)
	Logf func(format string, args ...any)
	Now  func() time.Time
}

// Timeouts bound one call; a zero field means its default.
type Timeouts struct {
	Connect time.Duration // name lookup and TCP; the TLS handshake has as much again. Default 5 s
	Headers time.Duration // from the request sent to the end of the answer's headers. Default 10 s
	Whole   time.Duration // all of it, the body too. Default 30 s
	Action  time.Duration // Headers and Whole of commit, branch and state changes, which are answered when done. Default 3 min
}

func (t Timeouts) withDefaults() Timeouts {
	or := func(d, def time.Duration) time.Duration {
		if d <= 0 {
			return def
		}
		return d
	}
	return Timeouts{
		Connect: or(t.Connect, 5*time.Second),
		Headers: or(t.Headers, 10*time.Second),
		Whole:   or(t.Whole, 30*time.Second),
		Action:  or(t.Action, 3*time.Minute),
	}
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	cfg   Config
	base  *url.URL
	http  *http.Client
	hooks hooks

	keyTurn chan struct{} // one place: held by the call that reads or fetches key
	key     string

	skew atomic.Pointer[time.Duration] // of the last answer's Date; nil before
}

// ClockSkew is how far the clock of the last answer (its Date, RFC 9110 6.6.1,
// in whole seconds) was ahead of this machine's; false when none told it.
func (c *Client) ClockSkew() (time.Duration, bool) {
	if d := c.skew.Load(); d != nil {
		return *d, true
	}
	return 0, false
}

func (c *Client) noteClock(h http.Header) {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		d := t.Sub(c.cfg.Now())
		c.skew.Store(&d)
	}
}

// hooks are the two doors to the machine's network that tests must close.
type hooks struct {
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	hasNetwork func() bool
}

// New checks the base URL and returns a client. It makes no connection. The
// error is an *Error of KindInvalid.
func New(cfg Config) (*Client, error) { return newClient(cfg, hooks{}) }

func newClient(cfg Config, h hooks) (*Client, error) {
	base, err := parseBase("read the API URL", cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	if cfg.UserAgent == "" {
		cfg.UserAgent = "vers-fleet"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Warn == nil {
		cfg.Warn = func(string) {}
	}
	if cfg.Logf == nil {
		cfg.Logf = func(string, ...any) {}
	}
	if h.hasNetwork == nil {
		h.hasNetwork = hasNetwork
	}
	if h.dial == nil {
		h.dial = (&net.Dialer{Timeout: cfg.Timeouts.Connect}).DialContext
	}
	c := &Client{cfg: cfg, base: base, hooks: h, keyTurn: make(chan struct{}, 1)}
	c.http = newHTTP(cfg, h.dial)
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		cfg.Warn("the API URL begins with http://, so the API key travels unencrypted to " + base.Host)
	}
	return c, nil
}

// Format implements [fmt.Formatter]: no verb prints the key.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "api.Client("+c.base.Host+")") }

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// parseBase reads a base URL. Its error shows no part of the text but the
// scheme, as people paste credentials into URLs.
func parseBase(op, text string) (*url.URL, error) {
	bad := func(detail string) error {
		return &Error{Op: op, Kind: KindInvalid, Stage: StageStart, Detail: detail,
			Hint: "write it like https://api.vers.ai or https://api.vers.sh/api/v1"}
	}
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, bad("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, bad("it does not begin with https:// or http://")
	case u.Hostname() == "":
		return nil, bad("it names no host")
	case u.User != nil:
		return nil, bad("it holds a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, bad("it holds a query or fragment")
	case clean(u.Host, 300) != u.Host || clean(u.Path, 2000) != u.Path:
		return nil, bad("it holds characters that no URL of an API has")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, bad("its port is not between 1 and 65535")
		}
	}
	u = u.JoinPath() // cleans the path
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// log writes the one line of a call.
func (c *Client) log(a *attempt, start time.Time, err error) {
	took := c.cfg.Now().Sub(start).Round(time.Millisecond)
	where := a.req.method + " " + a.url.Host + a.url.Path
	if e, ok := errors.AsType[*Error](err); ok {
		c.cfg.Logf("%s: %s in %s: %s", where, e.Kind, took, e.Reason())
		return
	}
	c.cfg.Logf("%s: %d in %s, %d bytes", where, a.status, took, a.size)
}

var (
	errNoKey  = errors.New("no API key is set")
	errBadKey = errors.New("the API key holds characters that no header can carry")
)

// apiKey returns the key, fetching it if no call has yet. One call at a time
// fetches; the others wait for it or for their own context.
func (c *Client) apiKey(ctx context.Context) (string, error) {
	select {
	case c.keyTurn <- struct{}{}:
		defer func() { <-c.keyTurn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if c.key != "" {
		return c.key, nil
	}
	if c.cfg.APIKey == nil {
		return "", errNoKey
	}
	key, err := c.cfg.APIKey(ctx)
	if err != nil {
		return "", err
	}
	if key = strings.TrimSpace(key); key == "" {
		return "", errNoKey
	}
	if !headerSafe(key) {
		return "", errBadKey
	}
	c.key = key
	return key, nil
}

// headerSafe reports whether a token is printable ASCII without spaces.
func headerSafe(token string) bool {
	return !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// keyError turns a failure to get the key into an Error. It says nothing of the
// API, so it is never transient.
func (a *attempt) keyError(ctx context.Context, err error) error {
	e := a.fail(KindNoKey, a.clean(err.Error()))
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e = a.fail(KindCanceled, "")
	case ctx.Err() != nil:
		e = a.fail(KindTimeout, "no API key came")
	}
	e.Err = a.cause(err)
	e.Retry = retry.Hint{Unsent: true}
	return e
}
