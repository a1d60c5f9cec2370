package sim

import (
	"fmt"
	"net"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// The fleet of the outage that this simulator imitates.
const (
	defaultVMs      = 12
	minVMs          = 6
	maxVMs          = 100_000
	defaultVMDomain = "vm.vers.sh"
	defaultTick     = 700 * time.Millisecond

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
	// APIKey is the key the API accepts; "" means a fresh one of the real form
	// (owner UUID followed by 64 hex digits).
	APIKey string
	// VMDomain is the domain below which VMs have their names, by default
	// "vm.vers.sh".
	VMDomain string
	// Seed makes ids and keys repeatable; 0 means random ones.
	Seed int64
	// Still keeps lieutenants from talking by themselves, so that their event
	// streams only change when Finish or a prompt says so.
	Still bool
	// Tick is the pace of talking lieutenants, 700 ms by default.
	Tick time.Duration
	// APITLS serves the REST API over https, with a certificate of the same CA.
	APITLS bool
	// Guest is the kind of the VMs, GuestBox by default. Of GuestSSHD, SSHD says
	// what each server is like; its folders, name and keys are the simulator's.
	Guest Guest
	SSHD  sshd.Options
	// Logf receives a line per API call and SSH login; nil means silence.
	Logf func(format string, args ...any)
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
	if c.VMDomain == "" {
		c.VMDomain = defaultVMDomain
	}
	if c.Tick <= 0 {
		c.Tick = defaultTick
	}
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	return c, nil
}
