package commits

import (
	"context"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Options is what Commits are made of.
type Options struct {
	API       *outage.API
	Inventory *inventory.Inventory
	Store     *keystore.Store
	QueueTTL  time.Duration // a queued commit older than this is not sent
	Now       func() time.Time
	Warn      func(string)
	OnQueue   func(context.Context, Result) // told what became of each commit that waited
}

// Commits are a profile's snapshots. Their methods may be called concurrently.
type Commits struct {
	o     Options
	api   *outage.API
	store *keystore.Store
}

// New makes Commits. It reads nothing.
func New(o Options) *Commits { return &Commits{o: o, api: o.API, store: o.Store} }
