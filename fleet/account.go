package fleet

import (
	"context"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/api"
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
// tell: a live API key begins with its owner's id (platform.md).
func (a *account) owner() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	const idLen, hexLen = 36, 64
	if len(a.key) == idLen+hexLen && api.ValidID(a.key[:idLen]) {
		return a.key[:idLen]
	}
	return ""
}

// bind makes sure that a profile holds the VMs of one endpoint and account
// only; it is called before anything the API said is recorded.
func (f *Fleet) bind() error {
	err := f.keys.BindEndpoint(f.o.API.BaseURL, f.account.owner())
	if keystore.KindOf(err) != keystore.KindMismatch {
		return err
	}
	return &Error{Kind: Usage, What: "nothing was recorded in profile " + f.o.Profile, Why: err.Error(), Origin: OriginLocal, Err: err,
		Next: "use another profile for this endpoint or account: --profile NAME"}
}
