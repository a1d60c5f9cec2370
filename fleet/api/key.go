package api

import (
	"context"
	"errors"
	"strings"

	"github.com/vers-fleet/vers-fleet/retry"
)

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

// noKey turns a failure to get the key into an Error. It says nothing of the
// API, so it is never transient.
func (a *attempt) noKey(ctx context.Context, err error) error {
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
