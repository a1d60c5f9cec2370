package access

import (
	"crypto/x509"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Options is what a Dialer is made of.
type Options struct {
	API       *outage.API
	Inventory *inventory.Inventory
	Keys      *keys.Keys
	Store     *keystore.Store
	Front     inventory.Front
	RootCAs   *x509.CertPool                 // nil = system roots
	LoadRoots func() (*x509.CertPool, error) // if not nil, further roots, read before the first of them
	TLSVerify bool                           // false turns verification of VM connections off
	StrictSSH bool                           // refuse VMs whose host key was never seen before
	Share     Sharing                        // of connections between commands

	// ConnectTimeout bounds each dial, with all its addresses and stages; 0 =
	// sshconn's default. After is its clock; nil = time.After.
	ConnectTimeout time.Duration
	After          func(time.Duration) <-chan time.Time

	Now  func() time.Time
	Warn func(string)
	Logf func(string, ...any)
}

// Dialer makes connections to a profile's VMs. Its methods may be called
// concurrently.
type Dialer struct {
	o     Options
	api   *outage.API
	inv   *inventory.Inventory
	keys  *keys.Keys
	store *keystore.Store
	front inventory.Front
	ssh   sshconn.Dialer
}

// keepAlive is how often an idle connection is probed; after three missed
// answers it counts as lost.
const keepAlive = 15 * time.Second

// New makes a Dialer. It makes no connection and reads nothing.
func New(o Options) *Dialer {
	return &Dialer{o: o, api: o.API, inv: o.Inventory, keys: o.Keys, store: o.Store, front: o.Front,
		ssh: sshconn.Dialer{RootCAs: o.RootCAs, Roots: o.LoadRoots, InsecureSkipVerify: !o.TLSVerify, KeepAlive: keepAlive, Logf: o.Logf,
			Timeouts: sshconn.Timeouts{Whole: o.ConnectTimeout}, After: o.After}}
}
