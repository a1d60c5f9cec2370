package fleet

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
	"github.com/vers-fleet/vers-fleet/retry"
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
	Share     access.Sharing                 // of connections between commands

	ConnectTimeout time.Duration                        // of each dial of a VM, all of it; 0 = sshconn's default
	After          func(time.Duration) <-chan time.Time // the clock of ConnectTimeout; nil = time.After

	PullPaths   []string
	SilentAfter time.Duration // a lieutenant at work that says nothing for so long is silent; 0 = never
	Patience    time.Duration // with one of several lieutenants that sends next to nothing; 0 = remote.Patience
	Retry       retry.Policy
	Mode        outage.Mode
	WaitFor     time.Duration // with Wait: give up after this long; 0 = never
	Probe       time.Duration // of a question that nobody would wait longer for; 0 = outage.ProbeTimeout
	QueueTTL    time.Duration // a queued commit older than this is not sent

	Mirror  daemon.Mirror                        // where the daemon keeps the fleet's work
	Runtime string                               // $XDG_RUNTIME_DIR, for the daemon's socket; "" = none
	Pace    func(time.Duration) <-chan time.Time // the clock of the daemon's loops; nil = time.After
	LogTo   slog.Handler                         // where the daemon logs beside its file, warnings and details too; nil: this process is no daemon

	Config   []string // configuration file and folder, which no pull writes to
	UserHome string   // where ~/.pi and ~/.vers are; "" = none
	VersHome string   // $VERS_HOME
	AgentDir string   // $PI_CODING_AGENT_DIR
	TempDirs []string // where other clients leave keys
	Registry inventory.Registry
	Keystore keystore.Options
	Now      func() time.Time
	Warn     func(string)                // something the user should know, on stderr
	Logf     func(string, ...any)        // verbose detail
	OnWait   func(outage.Waiting) func() // shown while waiting; the result ends the display
	Confirm  func(q string) error        // asks before something is lost; nil refuses
}

// Fleet is one profile's VMs. Its methods may be called concurrently.
type Fleet struct {
	API       *outage.API
	Inventory *inventory.Inventory
	Keys      *keys.Keys
	Access    *access.Dialer
	Remote    *remote.Remote
	Output    *remote.Output
	OpenSSH   *remote.OpenSSH
	Commits   *commits.Commits
	Lifecycle *lifecycle.Lifecycle
	Events    *daemon.Events
	Daemon    *daemon.Daemon

	o     Options
	keys  *keystore.Store
	front inventory.Front

	lastHalves lastHalves
}

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
	log := slog.New(slog.DiscardHandler)
	if o.LogTo != nil {
		log = slog.New(slog.NewMultiHandler(o.LogTo, slog.NewJSONHandler(store.Log(daemon.LogName), nil)))
		o.Warn = func(text string) { log.Warn(text) }
		o.Logf = func(format string, args ...any) { log.Debug(fmt.Sprintf(format, args...)) }
		o.API.Warn, o.API.Logf = o.Warn, o.Logf
	}
	f := &Fleet{o: o, keys: store, front: inventory.Front{Domain: o.VMDomain, Gateway: o.VMGateway}}
	f.API = outage.New(outage.Options{Config: o.API, Store: store, Profile: o.Profile, Retry: o.Retry, Mode: o.Mode, WaitFor: o.WaitFor, Probe: o.Probe,
		Now: o.Now, Warn: o.Warn, Logf: o.Logf, OnWait: o.OnWait})
	f.Inventory = inventory.New(inventory.Options{API: f.API, Store: store, Front: f.front, UserHome: o.UserHome, VersHome: o.VersHome, AgentDir: o.AgentDir,
		Registry: o.Registry, Now: o.Now, Warn: o.Warn, Logf: o.Logf})
	f.Keys = keys.New(keys.Options{API: f.API, Inventory: f.Inventory, Store: store, TempDirs: o.TempDirs, Keyring: o.Keystore.Keyring,
		Now: o.Now, Warn: o.Warn, Logf: o.Logf, Confirm: o.Confirm, OnRemove: func(id string) { f.Access.Forget(id); f.Output.Forget(id) }})
	f.Access = access.New(access.Options{API: f.API, Inventory: f.Inventory, Keys: f.Keys, Store: store, Front: f.front, RootCAs: o.RootCAs,
		LoadRoots: o.LoadRoots, TLSVerify: o.TLSVerify, StrictSSH: o.StrictSSH, Share: o.Share, ConnectTimeout: o.ConnectTimeout, After: o.After,
		Now: o.Now, Warn: o.Warn, Logf: o.Logf})
	f.Remote, f.Output, f.OpenSSH = remote.New(remote.Options{API: f.API, Access: f.Access, Inventory: f.Inventory, Store: store, Front: f.front, Profile: o.Profile,
		PullPaths: o.PullPaths, UserHome: o.UserHome, Own: o.own(), TLSVerify: o.TLSVerify, CAFile: o.CAFile, LoadRoots: o.LoadRoots, ProxyEnv: o.ProxyEnv,
		SilentAfter: o.SilentAfter, Patience: o.Patience, Now: o.Now, Warn: o.Warn, Logf: o.Logf, OnWait: o.OnWait,
		List: f.list})
	watch := daemon.Options{API: f.API, Inventory: f.Inventory, Output: f.Output, Store: store, Now: o.Now, Logf: o.Logf, List: f.list}
	f.Events = daemon.New(watch)
	f.Commits = commits.New(commits.Options{API: f.API, Inventory: f.Inventory, Store: store, QueueTTL: o.QueueTTL, Now: o.Now, Warn: o.Warn, OnQueue: f.noteQueue})
	f.Lifecycle = lifecycle.New(lifecycle.Options{API: f.API, Inventory: f.Inventory, Store: store, Warn: o.Warn, Record: f.recordNow})
	f.Daemon = daemon.NewDaemon(daemon.Config{Options: watch, Events: f.Events, Remote: f.Remote, Commits: f.Commits, Profile: o.Profile, Runtime: o.Runtime,
		Mirror: o.Mirror, Log: log, After: o.Pace, Drill: f.reach, NoteHome: f.NoteHome})
	return f, nil
}

// own are the files and folders that this program reads its configuration and
// state from.
func (o Options) own() []string {
	own := slices.Concat([]string{o.Home}, o.Config)
	if o.UserHome != "" {
		own = append(own, filepath.Join(o.UserHome, ".vers"), filepath.Join(o.UserHome, ".versrc"), filepath.Join(o.UserHome, ".pi", "vers"))
	}
	if o.AgentDir != "" {
		own = append(own, filepath.Join(o.AgentDir, "..", "vers"))
	}
	if o.VersHome != "" {
		own = append(own, o.VersHome)
	}
	return own
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
	if o.Pace == nil {
		o.Pace = time.After
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.OnWait == nil {
		o.OnWait = func(outage.Waiting) func() { return func() {} }
	}
	if o.QueueTTL == 0 {
		o.QueueTTL = 24 * time.Hour
	}
	return o
}
