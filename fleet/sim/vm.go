package sim

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

// The states of a VM, as the API writes them.
const (
	StateBooting  = "booting"
	StateRunning  = "running"
	StatePaused   = "paused"
	StateSleeping = "sleeping"
	StateDead     = "dead"
)

// ExecFunc lets a test answer a command in a VM's stead. cmd is "" for an
// interactive shell. handled false leaves the command to the VM.
type ExecFunc func(cmd string, stdin io.Reader, stdout, stderr io.Writer) (handled bool, status int)

// SubsystemFunc lets a test answer a subsystem request (such as "sftp") in a
// VM's stead; it owns rw until it returns.
type SubsystemFunc func(name string, rw io.ReadWriteCloser) (handled bool)

// VM is one simulated VM. Its methods are safe for concurrent use.
type VM struct {
	sim     *Sim
	id      string
	index   int
	created time.Time
	image   string // VMs of one image share a host key
	kind    string // what its files look like
	parent  string // commit it was started from
	grandVM string // VM that commit was made of
	logins  atomic.Int64

	mu        sync.Mutex
	labels    map[string]string
	state     string
	deleted   time.Time
	keyGen    int
	hostGen   int
	key       *keyPair
	exec      ExecFunc
	subsystem SubsystemFunc
	noSFTP    bool
	plain     *plainListener
	logs      []logEntry
	net       virtualNet

	bootMu sync.Mutex // held while files and machine are created
	boot   *box.Machine
	pi     *lieutenant
}

// ID is the VM's UUID.
func (vm *VM) ID() string { return vm.id }

// Logins counts the SSH logins so far.
func (vm *VM) Logins() int { return int(vm.logins.Load()) }

// ResetLogins counts from 0 again.
func (vm *VM) ResetLogins() { vm.logins.Store(0) }

// Name is the VM's label "name", or its id without one.
func (vm *VM) Name() string {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if name := vm.labels["name"]; name != "" {
		return name
	}
	return vm.id
}

// Role is the VM's label "role".
func (vm *VM) Role() string { return vm.Labels()["role"] }

// Labels returns a copy of the VM's labels.
func (vm *VM) Labels() map[string]string {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return maps.Clone(vm.labels)
}

// SetLabels adds labels, as the API's label call does.
func (vm *VM) SetLabels(labels map[string]string) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.labels == nil {
		vm.labels = make(map[string]string)
	}
	maps.Copy(vm.labels, labels)
}

// State is the VM's state, one of the State constants.
func (vm *VM) State() string {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.state
}

// SetState changes the VM's state; a VM that stops running loses its SSH
// connections.
func (vm *VM) SetState(state string) error {
	switch state {
	case StateBooting, StateRunning, StatePaused, StateSleeping, StateDead:
	default:
		return fmt.Errorf("sim: unknown VM state %q", state)
	}
	vm.mu.Lock()
	vm.state = state
	vm.mu.Unlock()
	if state != StateRunning {
		vm.sim.gateway.cut(vm)
	}
	return nil
}

// Created is when the VM was made.
func (vm *VM) Created() time.Time { return vm.created }

// Root returns the folder on this machine that is the VM's "/", and creates
// its content if nobody connected yet. On an I/O error it is still the name
// of the folder.
func (vm *VM) Root() string {
	if _, err := vm.machine(); err != nil {
		vm.sim.cfg.Logf("sim: files of %s: %v", vm.id, err)
	}
	return vm.folder()
}

func (vm *VM) folder() string { return filepath.Join(vm.sim.dir, "vms", vm.id) }

// SetExec installs fn in front of the VM's shell; nil removes it.
func (vm *VM) SetExec(fn ExecFunc) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.exec = fn
}

// SetSubsystem installs fn in front of the VM's subsystems; nil removes it.
func (vm *VM) SetSubsystem(fn SubsystemFunc) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.subsystem = fn
}

// SetSFTP says whether the VM has an SFTP subsystem, as minimal images do not.
func (vm *VM) SetSFTP(on bool) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.noSFTP = !on
}

// Disable takes commands away from the VM, as on an image that lacks them.
func (vm *VM) Disable(commands ...string) error {
	m, err := vm.machine()
	if err != nil {
		return err
	}
	m.Disable(commands...)
	return nil
}

// SetDiskFree lets the VM's disk take only n more bytes; a negative n lifts
// the limit to its default.
func (vm *VM) SetDiskFree(n int64) error {
	m, err := vm.machine()
	if err != nil {
		return err
	}
	m.FS.SetFree(n)
	return nil
}

// SetReadOnly makes the VM's file system refuse every change, or not.
func (vm *VM) SetReadOnly(on bool) error {
	m, err := vm.machine()
	if err != nil {
		return err
	}
	m.FS.SetReadOnly(on)
	return nil
}

// PrivateKey returns the VM's current private key in OpenSSH format.
func (vm *VM) PrivateKey() ([]byte, error) {
	k, err := vm.keyPair()
	if err != nil {
		return nil, err
	}
	return k.pem, nil
}

// RotateKey gives the VM a new login key; the old one is refused from now on.
func (vm *VM) RotateKey() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.keyGen++
	vm.key = nil
}

// RotateHostKey gives the VM a host key of its own that it never had before.
func (vm *VM) RotateHostKey() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.hostGen++
}

// running reports whether the VM accepts connections.
func (vm *VM) running() bool { return vm.State() == StateRunning }
