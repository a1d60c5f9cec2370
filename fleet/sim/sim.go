package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// Sim is a running simulated platform. Its methods are safe for concurrent use.
type Sim struct {
	cfg      Config
	dir      string
	keepDir  bool
	secret   [32]byte // every id and key is derived from it
	owner    string
	apiKey   string
	ca       *authority
	faults   faultSet
	calls    callLog
	api      *httpListener
	control  *httpListener
	gateway  *gateway
	token    string
	ctx      context.Context // ends when the simulator closes
	cancel   context.CancelFunc
	closing  sync.Once
	closeErr error
	closed   chan struct{}

	creating sync.Mutex // held while a new VM gets its id

	mu       sync.Mutex
	vms      map[string]*VM
	order    []*VM
	commits  []Commit
	byCommit map[string]int
}

// Start begins to serve and returns at once. The simulator ends with Close or
// when ctx does; either way every listener, connection and temporary file of
// it is gone afterwards.
func Start(ctx context.Context, cfg Config) (*Sim, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Guest == GuestSSHD {
		if err := sshd.Check(ctx, cfg.SSHD); err != nil {
			return nil, err
		}
	}
	s := &Sim{cfg: cfg, vms: make(map[string]*VM), byCommit: make(map[string]int), closed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

func (s *Sim) start() error {
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := s.makeIdentity(); err != nil {
		return err
	}
	s.makeFleet()
	if s.cfg.Unlabelled {
		if err := s.WriteNames(false); err != nil {
			return err
		}
	}
	host, _, err := net.SplitHostPort(s.cfg.Addr)
	if err != nil {
		return err
	}
	free := net.JoinHostPort(host, "0")
	if s.gateway, err = listenGateway(s, free); err != nil {
		return err
	}
	if s.control, err = listenHTTP(free, s.controlHandler(), nil); err != nil {
		return err
	}
	s.api, err = listenHTTP(s.cfg.Addr, s.apiHandler(), s.apiTLS())
	return err
}

func (s *Sim) makeDir() error {
	if s.cfg.Dir == "" {
		dir, err := os.MkdirTemp("", "vers-fleet-sim-")
		s.dir = dir
		return err
	}
	s.keepDir = true
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("sim: folder %s is not empty", dir)
	}
	return err
}

// Boot starts what runs in the VMs, side by side. Otherwise each begins when
// somebody first connects, which for a real sshd takes some tenths of a second.
func (s *Sim) Boot() error {
	vms := s.VMs()
	errs := make([]error, len(vms))
	slots := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for i, vm := range vms {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, errs[i] = vm.boot()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close ends the simulator: connections are cut, lieutenants fall silent, a
// temporary folder is removed. It is safe to call it again.
func (s *Sim) Close() error {
	s.closing.Do(func() {
		s.cancel()
		var errs []error
		errs = append(errs, s.api.close(), s.control.close(), s.gateway.close())
		for _, vm := range s.VMs() {
			errs = append(errs, vm.shutdown())
		}
		if s.dir != "" && !s.keepDir {
			errs = append(errs, removeAll(s.dir))
		}
		s.closeErr = errors.Join(errs...)
		close(s.closed)
	})
	<-s.closed
	return s.closeErr
}

// removeAll removes a folder in which files may be without permissions.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // what cannot be opened is reported by the second try
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// Done is closed when the simulator has ended, for whatever reason.
func (s *Sim) Done() <-chan struct{} { return s.closed }

// BaseURL is the API's base URL; it ends in /api/v1.
func (s *Sim) BaseURL() string { return s.HostURL() + "/api/v1" }

// HostURL is the API's URL without a path; the same calls are served below it.
func (s *Sim) HostURL() string {
	scheme := "http"
	if s.cfg.APITLS {
		scheme = "https"
	}
	return scheme + "://" + s.api.addr()
}

// APIKey is the key that the API accepts.
func (s *Sim) APIKey() string { return s.apiKey }

// Gateway is the host:port at which every VM answers SSH inside TLS.
func (s *Sim) Gateway() string { return s.gateway.addr() }

// CAFile is the certificate that signed the gateway's, in PEM.
func (s *Sim) CAFile() string { return filepath.Join(s.dir, "ca.pem") }

// Dir is the folder with everything the simulator keeps.
func (s *Sim) Dir() string { return s.dir }

// ServerName is the TLS name of a VM.
func (s *Sim) ServerName(vm *VM) string { return vm.id + "." + vmDomain }

// controlURL is where a running simulator is steered; it contains a secret.
func (s *Sim) controlURL() string { return "http://" + s.control.addr() + "/" + s.token }

// Env returns the KEY=VALUE pairs that point the program at the simulator.
// They contain the API key and the control secret.
func (s *Sim) Env() []string {
	env := []string{
		"VERS_FLEET_API_URL=" + s.BaseURL(),
		"VERS_FLEET_API_KEY=" + s.APIKey(),
		"VERS_FLEET_VM_GATEWAY=" + s.Gateway(),
		"VERS_FLEET_TLS_CA=" + s.CAFile(),
		"VERS_FLEET_SIM=" + s.controlURL(),
	}
	if s.cfg.Unlabelled {
		env = append(env, "VERS_HOME="+s.versHome())
	}
	return env
}

// VMs returns all VMs that were not deleted, in order of creation.
func (s *Sim) VMs() []*VM {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.order), func(vm *VM) bool { return !vm.deletedAt().IsZero() })
}

// VM returns the VM with this id or name, nil without one.
func (s *Sim) VM(nameOrID string) *VM {
	if vm := s.vmByID(strings.ToLower(nameOrID)); vm != nil {
		return vm
	}
	for _, vm := range s.VMs() {
		if vm.Name() == nameOrID {
			return vm
		}
	}
	return nil
}

func (s *Sim) vmByID(id string) *VM {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vms[id]
}

// SetFault switches a fault on, or with the kind "off" ends all. It takes the
// place of an earlier one with the same filters (endpoint, method, VM); latency
// adds to the others.
func (s *Sim) SetFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Kind == faultOff {
		s.ClearFaults()
		return nil
	}
	f.fill()
	if f.VM != "" && s.VM(f.VM) == nil {
		return fmt.Errorf("no VM %q in the simulator", f.VM)
	}
	s.faults.set(f)
	return nil
}

// ClearFaults ends all faults.
func (s *Sim) ClearFaults() { s.faults.clear() }

// CutConnections resets every SSH connection that is open now.
func (s *Sim) CutConnections() { s.gateway.cut(nil) }

// Calls returns the API calls seen so far, oldest first.
func (s *Sim) Calls() []Call { return s.calls.list() }

// ResetCalls forgets the calls seen so far.
func (s *Sim) ResetCalls() { s.calls.reset() }

// Commits returns every snapshot ever made, oldest first.
func (s *Sim) Commits() []Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commits)
}

func (s *Sim) now() time.Time { return time.Now() }

// The fleet of the outage that this simulator imitates.
const (
	defaultVMs  = 12
	minVMs      = 6
	maxVMs      = 100_000
	defaultTick = 700 * time.Millisecond

	// vmDomain is the domain below which VMs have their names.
	vmDomain = "vm.vers.sh"

	// MarketingID is the id of the VM whose finished work could not be
	// fetched in the outage of 2026-02-24.
	MarketingID = "c8f9cadc-4c58-4eab-a847-df31723c7d16"
)

// Config says what to simulate. The zero value is a fleet of twelve VMs on
// free loopback ports, in a temporary folder, with random keys.
type Config struct {
	// VMs is the size of the fleet: 0 means 12, at least 6. VMs are created
	// lazily; 10,000 cost little until they are connected to.
	VMs int
	// Dir holds the VMs' files and the CA certificate. "" means a temporary
	// folder that Close removes; a folder that is named here must be empty or
	// missing and is kept.
	Dir string
	// Addr is where the REST API listens, "127.0.0.1:0" by default. Only
	// loopback addresses are accepted. Gateway and control listeners take free
	// ports of the same address.
	Addr string
	// Seed makes ids and keys repeatable; 0 means random ones.
	Seed int64
	// Unlabelled makes lieutenants as the agent extension does: without labels,
	// their names in its lieutenants.json (see WriteNames).
	Unlabelled bool
	// Still keeps lieutenants from talking by themselves, so that their event
	// streams only change when Finish or a prompt says so.
	Still bool
	// APITLS serves the REST API over https, with a certificate of the same CA.
	APITLS bool
	// Guest is the kind of the VMs, GuestBox by default. Of GuestSSHD, SSHD says
	// what each server is like; its folders, name and keys are the simulator's.
	Guest Guest
	SSHD  sshd.Options
	// Logf receives a line per API call and SSH login; nil means silence.
	Logf func(format string, args ...any)

	tick time.Duration // the pace of talking lieutenants
}

// withDefaults checks the configuration and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	if c.VMs == 0 {
		c.VMs = defaultVMs
	}
	if c.VMs < minVMs || c.VMs > maxVMs {
		return c, fmt.Errorf("sim: %d VMs: must be between %d and %d", c.VMs, minVMs, maxVMs)
	}
	if c.Guest == "" {
		c.Guest = GuestBox
	}
	if c.Guest != GuestBox && c.Guest != GuestSSHD {
		return c, fmt.Errorf("sim: no VMs of the kind %q: there are %s and %s", c.Guest, GuestBox, GuestSSHD)
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return c, fmt.Errorf("sim: address %q: %w", c.Addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return c, fmt.Errorf("sim: address %q: only loopback addresses are served, such as 127.0.0.1:0", c.Addr)
	}
	if c.tick <= 0 {
		c.tick = defaultTick
	}
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	return c, nil
}
