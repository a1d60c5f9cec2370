package sim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// The states of a VM, as the API writes them.
const (
	stateBooting  = "booting"
	StateRunning  = "running"
	StatePaused   = "paused"
	stateSleeping = "sleeping"
	StateDead     = "dead"
)

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
	nick    string // name and role of a lieutenant without labels
	duty    string

	mu         sync.Mutex
	labels     map[string]string
	state      string
	deleted    time.Time
	keyGen     int
	hostGen    int
	key        *keyPair
	loginsSeen int // when they were last reset

	bootMu sync.Mutex // held while files and guest are created
	files  *box.FS    // nil before
	guest  guest      // nil before
	pi     *lieutenant
}

// ID is the VM's UUID.
func (vm *VM) ID() string { return vm.id }

// Logins counts the SSH logins so far.
func (vm *VM) Logins() int {
	all := vm.allLogins()
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return all - vm.loginsSeen
}

// ResetLogins counts from 0 again.
func (vm *VM) ResetLogins() {
	all := vm.allLogins()
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.loginsSeen = all
}

func (vm *VM) allLogins() int {
	vm.bootMu.Lock()
	defer vm.bootMu.Unlock()
	if vm.guest == nil {
		return 0
	}
	return vm.guest.logins()
}

// Name is the VM's label "name", else what its lieutenant is called, else its
// id.
func (vm *VM) Name() string {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return cmp.Or(vm.labels["name"], vm.nick, vm.id)
}

func (vm *VM) role() string { return cmp.Or(vm.allLabels()["role"], vm.duty) }

// allLabels is a copy of the VM's labels.
func (vm *VM) allLabels() map[string]string {
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
	case stateBooting, StateRunning, StatePaused, stateSleeping, StateDead:
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

// Root returns the folder on this machine that is the VM's "/" (of a real sshd
// only /root and /tmp lie in it), and creates its content if nobody connected
// yet. On an I/O error it is still the name of the folder.
func (vm *VM) Root() string {
	if _, err := vm.boot(); err != nil {
		vm.sim.cfg.Logf("sim: %v", err)
	}
	return vm.folder()
}

func (vm *VM) folder() string { return filepath.Join(vm.sim.dir, "vms", vm.id) }

// OpenSSH returns the VM's real sshd and starts it if nobody connected yet;
// without an error it is nil for a VM of another kind.
func (vm *VM) OpenSSH() (*sshd.Server, error) {
	g, err := vm.boot()
	if guest, ok := g.(*sshdGuest); ok && err == nil {
		return guest.server, nil
	}
	return nil, err
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
func (vm *VM) RotateKey() error {
	vm.mu.Lock()
	vm.keyGen++
	vm.key = nil
	vm.mu.Unlock()
	return vm.onGuest(guest.rekeyed)
}

// ShareKey gives the VM the login key of another, as VMs of one image may have.
func (vm *VM) ShareKey(other *VM) error {
	key, err := other.keyPair()
	if err != nil {
		return err
	}
	vm.mu.Lock()
	vm.key = key
	vm.mu.Unlock()
	return vm.onGuest(guest.rekeyed)
}

// RotateHostKey gives the VM a host key of its own that it never had before.
func (vm *VM) RotateHostKey() error {
	vm.mu.Lock()
	vm.hostGen++
	vm.mu.Unlock()
	return vm.Restart()
}

// DropSessions ends every session as a crash of the VM would.
func (vm *VM) DropSessions() error { return vm.onGuest(func(g guest) error { g.drop(); return nil }) }

// Restart ends every session and starts the VM's SSH server again.
func (vm *VM) Restart() error {
	return vm.onGuest(func(g guest) error { return g.restart(vm.sim.ctx) })
}

// onGuest does something to what runs in the VM, if anything does.
func (vm *VM) onGuest(fn func(guest) error) error {
	vm.bootMu.Lock()
	defer vm.bootMu.Unlock()
	if vm.guest == nil {
		return nil
	}
	return fn(vm.guest)
}

// running reports whether the VM accepts connections.
func (vm *VM) running() bool { return vm.State() == StateRunning }

// errEnded is returned for what is asked of a simulator after its Close.
var errEnded = errors.New("sim: the simulator has ended")

// boot returns what runs in the VM. It is made on first use, so that thousands
// of VMs cost nothing until somebody connects.
func (vm *VM) boot() (guest, error) {
	vm.bootMu.Lock()
	defer vm.bootMu.Unlock()
	if vm.guest != nil {
		return vm.guest, nil
	}
	if vm.sim.ctx.Err() != nil || !vm.deletedAt().IsZero() {
		return nil, errEnded
	}
	if err := vm.makeFiles(); err != nil {
		return nil, fmt.Errorf("files of %s: %w", vm.id, err)
	}
	var err error
	if vm.sim.cfg.Guest == GuestSSHD {
		vm.guest, err = newSSHDGuest(vm)
	} else {
		vm.guest, err = newBoxGuest(vm, vm.files)
	}
	if err != nil {
		vm.guest = nil // not an interface that holds a nil pointer
	}
	return vm.guest, err
}

func (vm *VM) hostname() string {
	if name := vm.Name(); name != vm.id {
		return name
	}
	return "vm-" + firstN(vm.id, 8)
}

// makeFiles makes the VM's files: a copy of its parent's for a branched VM,
// otherwise what its role asks for.
func (vm *VM) makeFiles() (err error) {
	if vm.files != nil {
		return nil
	}
	if err := os.MkdirAll(vm.folder(), 0o700); err != nil {
		return err
	}
	files, err := box.NewFS(vm.folder())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, files.Close())
		}
	}()
	c := &content{fs: files, vm: vm, now: vm.sim.now()}
	copied, err := vm.copyParent(files)
	if err != nil {
		return err
	}
	if !copied {
		c.system()
		c.workspace()
	}
	if vm.role() == "lieutenant" && c.err == nil {
		vm.pi = newLieutenant(vm, files)
		c.err = vm.pi.begin()
	}
	if c.err == nil {
		vm.files = files
	}
	return c.err
}

// copyParent takes over the files of the VM that this one was branched from,
// as they are now, if that VM has any.
func (vm *VM) copyParent(into *box.FS) (bool, error) {
	parent := vm.sim.vmByID(vm.grandVM)
	if parent == nil || !parent.deletedAt().IsZero() {
		return false, nil
	}
	if _, err := os.Stat(parent.folder()); err != nil {
		return false, nil // nobody used it: fresh content is the same
	}
	if _, err := parent.boot(); err != nil {
		return false, err
	}
	if err := into.Clone(parent.files); err != nil {
		return false, fmt.Errorf("copy of %s: %w", parent.id, err)
	}
	return true, nil
}

// shutdown ends what runs in the VM.
func (vm *VM) shutdown() error {
	vm.bootMu.Lock()
	defer vm.bootMu.Unlock()
	if vm.pi != nil {
		vm.pi.stop()
	}
	if vm.guest != nil {
		vm.guest.close()
		vm.guest = nil
	}
	if vm.files == nil {
		return nil
	}
	err := vm.files.Close()
	vm.files = nil
	return err
}

// atWork reports whether the VM is a lieutenant that does something.
func (vm *VM) atWork() bool {
	vm.bootMu.Lock()
	pi := vm.pi
	vm.bootMu.Unlock()
	if pi == nil {
		return vm.busy()
	}
	return pi.working()
}
