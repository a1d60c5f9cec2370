package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

// errEnded is returned for what is asked of a simulator after its Close.
var errEnded = errors.New("sim: the simulator has ended")

// machine returns what the VM's commands run in. Files are made on first use,
// so that thousands of VMs cost nothing until somebody connects.
func (vm *VM) machine() (*box.Machine, error) {
	vm.bootMu.Lock()
	defer vm.bootMu.Unlock()
	if vm.boot != nil {
		return vm.boot, nil
	}
	if vm.sim.ctx.Err() != nil {
		return nil, errEnded
	}
	if err := os.MkdirAll(vm.folder(), 0o700); err != nil {
		return nil, err
	}
	fsys, err := box.NewFS(vm.folder())
	if err != nil {
		return nil, err
	}
	m := &box.Machine{FS: fsys, Hostname: vm.hostname(), Started: vm.created, Dial: vm.net.dialPort}
	if err := vm.populate(m); err != nil {
		return nil, errors.Join(err, fsys.Close())
	}
	vm.boot = m
	return m, nil
}

func (vm *VM) hostname() string {
	if name := vm.Name(); name != vm.id {
		return name
	}
	return "vm-" + firstN(vm.id, 8)
}

// populate makes the VM's files: a copy of its parent's for a branched VM,
// otherwise what its role asks for.
func (vm *VM) populate(m *box.Machine) error {
	if err := m.FS.Devices(); err != nil {
		return err
	}
	c := &content{fs: m.FS, vm: vm, now: vm.sim.now()}
	copied, err := vm.copyParent(m)
	if err != nil {
		return err
	}
	if !copied {
		c.system()
		c.workspace()
	}
	if vm.Role() == "lieutenant" {
		vm.pi = newLieutenant(vm, m)
		c.err = errors.Join(c.err, vm.pi.begin())
		m.HasTmux = func(session string) bool { return session == "pi-rpc" && vm.pi.alive() }
		m.Processes = vm.pi.processes
	}
	return c.err
}

// copyParent takes over the files of the VM that this one was branched from,
// as they are now, if that VM has any.
func (vm *VM) copyParent(m *box.Machine) (bool, error) {
	parent := vm.sim.vmByID(vm.grandVM)
	if parent == nil || !parent.deletedAt().IsZero() {
		return false, nil
	}
	if _, err := os.Stat(parent.folder()); err != nil {
		return false, nil // nobody used it: fresh content is the same
	}
	source, err := parent.machine()
	if err != nil {
		return false, err
	}
	if err := m.FS.Clone(source.FS); err != nil {
		return false, fmt.Errorf("copy of %s: %w", parent.id, err)
	}
	return true, nil
}

// shutdown ends what runs in the VM.
func (vm *VM) shutdown() error {
	vm.mu.Lock()
	plain := vm.plain
	vm.plain = nil
	vm.mu.Unlock()
	var errs []error
	if plain != nil {
		_ = plain.Close() // the gateway may have closed it
	}
	vm.bootMu.Lock()
	defer vm.bootMu.Unlock()
	if vm.pi != nil {
		vm.pi.stop()
	}
	if vm.boot != nil {
		errs = append(errs, vm.boot.FS.Close())
		vm.boot = nil
	}
	return errors.Join(errs...)
}

// Busy reports whether the VM is a lieutenant at work.
func (vm *VM) Busy() bool {
	vm.bootMu.Lock()
	pi := vm.pi
	vm.bootMu.Unlock()
	if pi == nil {
		return vm.busy()
	}
	return pi.working()
}

// exec runs a session's command, or the test's stand-in for it.
func (vm *VM) execFunc() ExecFunc {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.exec
}

// runCommand runs one command line in the VM.
func (vm *VM) runCommand(ctx context.Context, s box.Session) int {
	if fn := vm.execFunc(); fn != nil {
		if handled, status := fn(s.Command, s.Stdin, s.Stdout, s.Stderr); handled {
			return status
		}
	}
	m, err := vm.machine()
	if err != nil {
		_, _ = io.WriteString(s.Stderr, "vm: "+err.Error()+"\n")
		return 255
	}
	return m.Run(ctx, s)
}
