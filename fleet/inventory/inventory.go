package inventory

import (
	"context"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Options is what an Inventory is made of.
type Options struct {
	API      *outage.API
	Store    *keystore.Store
	Front    Front
	UserHome string // where ~/.pi and ~/.vers are; "" = none
	VersHome string // $VERS_HOME
	AgentDir string // $PI_CODING_AGENT_DIR, beside which the agent extension keeps its files
	Registry Registry
	Now      func() time.Time
	Warn     func(string)
	Logf     func(string, ...any)
}

// Registry is the optional service that knows names of VMs.
type Registry struct {
	URL   string
	Token func(context.Context) (string, error)
}

// Inventory knows a profile's VMs. Its methods may be called concurrently.
type Inventory struct {
	o    Options
	api  *outage.API
	keys *keystore.Store

	aside sync.Map // what setAside has warned of
}

// New makes an Inventory. It reads nothing.
func New(o Options) *Inventory { return &Inventory{o: o, api: o.API, keys: o.Store} }
