package outage

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// account remembers the API key once it was had, so that the API client and
// the check of the profile's owner do not ask for it twice.
type account struct {
	mu    sync.Mutex
	fetch func(context.Context) (string, error)
	key   string
}

// apiKey is the API key; an error is not remembered.
func (a *account) apiKey(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.key != "" || a.fetch == nil {
		return a.key, nil
	}
	key, err := a.fetch(ctx)
	if err == nil {
		a.key = key
	}
	return key, err
}

// owner is the account that the key in use belongs to, "" when it does not
// tell: a live API key begins with its owner's id (docs/platform.md).
func (a *account) owner() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	const idLen, hexLen = 36, 64
	if len(a.key) == idLen+hexLen && api.ValidID(a.key[:idLen]) {
		return a.key[:idLen]
	}
	return ""
}

// Bind makes sure that a profile holds the VMs of one endpoint and account
// only; it is called before anything the API said is recorded.
func (a *API) Bind() error {
	err := a.o.Store.BindEndpoint(canonical(a.o.Config.BaseURL), a.account.owner())
	if keystore.KindOf(err) != keystore.KindMismatch {
		return err
	}
	return &problem.Error{Kind: problem.Usage, What: "nothing was recorded in profile " + a.o.Profile, Why: err.Error(), Origin: problem.OriginLocal, Err: err,
		Next: "use another profile for this endpoint or account: --profile NAME"}
}

// warnForeign says, once, that what is recorded is not of the endpoint in use:
// it serves all the same, as the endpoint may only be written wrong.
func (a *API) warnForeign() {
	if of, here := a.o.Store.Endpoint(), canonical(a.o.Config.BaseURL); of != "" && of != here {
		a.foreign.Do(func() {
			a.o.Warn("this is the cache of " + of + ", not of " + here + "; give each a profile of its own (--profile NAME)")
		})
	}
}

// canonical is a base URL as profiles and the outage memory compare it: other
// ways to write the same endpoint must not look like another one.
func canonical(baseURL string) string {
	u, err := url.Parse(strings.TrimSpace(baseURL))
	if err != nil || u.Host == "" {
		return strings.TrimRight(baseURL, "/")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
}
