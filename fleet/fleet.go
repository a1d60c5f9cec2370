package fleet

import (
	"context"
	"crypto/x509"
	"path/filepath"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Mode is how a command treats the API.
type Mode int

// The modes; see --offline, --live and --wait.
const (
	Auto    Mode = iota // try, retry briefly, fall back to the record
	Offline             // no API call at all
	Live                // no fallback
	Wait                // keep trying until the API answers
)

// Options is everything a Fleet needs to know. Only Home and Profile are
// required; zero values mean the documented defaults.
type Options struct {
	Home    string // folder of all profiles
	Profile string // "" means "default"

	API       api.Config
	VMDomain  string                         // host names of VMs are <vm id>.<VMDomain>
	VMGateway string                         // host:port dialled for every VM; "" = <vm id>.<VMDomain>:443
	RootCAs   *x509.CertPool                 // for VM connections; nil = system roots
	LoadRoots func() (*x509.CertPool, error) // if not nil, further roots, read before the first of them
	TLSVerify bool                           // false turns verification of VM connections off
	CAFile    string                         // PEM file behind LoadRoots, which ExportSSH copies; "" = none
	ProxyEnv  []string                       // NAME=VALUE words with which a ProxyCommand finds the same configuration in an empty environment
	StrictSSH bool                           // refuse VMs whose host key was never seen before
	Share     Sharing                        // of connections between commands

	PullPaths []string
	Retry     retry.Policy
	Mode      Mode
	WaitFor   time.Duration // with Wait: give up after this long; 0 = never
	QueueTTL  time.Duration // a queued commit older than this is not sent

	UserHome string   // where ~/.pi and ~/.vers are; "" = none
	VersHome string   // $VERS_HOME
	TempDirs []string // where other clients leave keys
	Registry Registry
	Keystore keystore.Options
	Now      func() time.Time
	Warn     func(string)         // something the user should know, on stderr
	Logf     func(string, ...any) // verbose detail
	OnWait   func(Waiting) func() // shown while waiting; the result ends the display
	Confirm  func(q string) error // asks before something is lost; nil refuses
}

// Registry is the optional service that knows names of VMs.
type Registry struct {
	URL   string
	Token func(context.Context) (string, error)
}

// Waiting describes a try of an API call, or a pause before the next.
type Waiting struct {
	What      string // what the caller is trying to do
	Attempt   int    // the attempt that failed, from 1; 0 during a try, and nothing else is set
	Reason    string
	Next      time.Time // when the next attempt starts
	DownSince time.Time // zero when the API is not known to be down
	Forecast  string    // what earlier outages say, "" when they say nothing
}

// Fleet is one profile's VMs. Its methods may be called concurrently.
type Fleet struct {
	o       Options
	keys    *keystore.Store
	memory  *retry.Memory
	dialer  *sshconn.Dialer
	account *account
	unsaved *unsavedKeys
	foreign *sync.Once // the warning of tellForeign

	newcomers *newcomers // see forMany; nil: first contacts are told one by one

	// client is built on first use, so that commands served by the record
	// never read the API key.
	client func() (*api.Client, error)
}

// keepAlive is how often an idle connection is probed; after three missed
// answers it counts as lost.
const keepAlive = 15 * time.Second

// The retry budget of one process: so many retries, and a tenth of one more
// for each call that succeeds, however many VMs are worked on at once.
const (
	retryBudget = 20
	retryRefill = 0.1
)

// Open opens the profile's local state. It makes no network call and creates
// nothing on disk. It returns an *Error of kind Storage when the state is
// damaged or others could read it.
func Open(o Options) (*Fleet, error) {
	o = o.withDefaults()
	ks := o.Keystore
	ks.ParseKey, ks.DecryptSSHKey, ks.Now, ks.Warn = sshconn.ParseKey, sshconn.DecryptKey, o.Now, o.Warn
	store, err := keystore.Open(filepath.Join(o.Home, o.Profile), ks)
	if err != nil {
		return nil, problem.OfStorage("open the local record", err)
	}
	o.Retry.Budget = retry.NewBudget(retryBudget, retryRefill)
	who := &account{fetch: o.API.APIKey}
	o.API.APIKey = who.apiKey
	f := &Fleet{o: o, keys: store, account: who, unsaved: &unsavedKeys{}, foreign: &sync.Once{}, client: sync.OnceValues(func() (*api.Client, error) { return api.New(o.API) })}
	f.memory = f.memoryOf(o.API.BaseURL)
	f.dialer = &sshconn.Dialer{RootCAs: o.RootCAs, Roots: o.LoadRoots, InsecureSkipVerify: !o.TLSVerify, KeepAlive: keepAlive, Logf: o.Logf}
	return f, nil
}

func (o Options) withDefaults() Options {
	if o.Profile == "" {
		o.Profile = "default"
	}
	if o.VMDomain == "" {
		o.VMDomain = "vm.vers.sh"
	}
	if len(o.PullPaths) == 0 {
		o.PullPaths = []string{"/root/workspace"}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.OnWait == nil {
		o.OnWait = func(Waiting) func() { return func() {} }
	}
	if o.QueueTTL == 0 {
		o.QueueTTL = 24 * time.Hour
	}
	return o
}

// with is the same fleet that treats the API in another way.
func (f *Fleet) with(m Mode) *Fleet {
	other := *f
	other.o.Mode = m
	return &other
}
