package remote

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Options is what Remote, Output and OpenSSH are made of.
type Options struct {
	API         *outage.API
	Access      *access.Dialer
	Inventory   *inventory.Inventory
	Store       *keystore.Store
	Front       inventory.Front
	Profile     string
	PullPaths   []string
	UserHome    string   // where ~/.ssh is; "" = none
	Own         []string // files and folders that no pull writes to: configuration and state
	TLSVerify   bool
	CAFile      string                         // PEM file behind LoadRoots, which Export copies; "" = none
	LoadRoots   func() (*x509.CertPool, error) // reads CAFile
	ProxyEnv    []string                       // NAME=VALUE words with which a ProxyCommand finds the same configuration in an empty environment
	SilentAfter time.Duration                  // a lieutenant at work that says nothing for so long is silent; 0 = never
	Patience    time.Duration                  // with one of several lieutenants that sends next to nothing; 0 = Patience
	Now         func() time.Time
	Warn        func(string)
	Logf        func(string, ...any)
	OnWait      func(outage.Waiting) func() // shown while waiting; the result ends the display

	// List lists the fleet for a watch, and fetches the keys of new VMs.
	List func(context.Context, inventory.ListOptions) (inventory.Listing, error)
}

// Remote works on VMs over SSH: shells, commands and files. Its methods may be
// called concurrently.
type Remote struct{ o Options }

// Output is what lieutenants say and are told. Its methods may be called
// concurrently.
type Output struct{ o Options }

// OpenSSH writes what plain OpenSSH needs to reach the VMs.
type OpenSSH struct{ o Options }

// New makes the three. It connects to nothing and reads nothing.
func New(o Options) (*Remote, *Output, *OpenSSH) { return &Remote{o}, &Output{o}, &OpenSSH{o} }
