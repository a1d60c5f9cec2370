package sim

import (
	"errors"
	"fmt"
	"os"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

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
