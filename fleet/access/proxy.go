package access

import (
	"context"
	"io"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
)

// Proxy joins in and out to the VM's SSH port, for use as a ProxyCommand. It
// needs no key.
func (d *Dialer) Proxy(ctx context.Context, vm inventory.VM, in io.Reader, out io.Writer) error {
	target, err := d.target(vm)
	if err != nil {
		return err
	}
	return d.explain(ctx, outage.AsAsked, vm, d.ssh.Proxy(ctx, target, in, out))
}

// Reach goes the way to a VM up to its host key, without logging in.
func (d *Dialer) Reach(ctx context.Context, vm inventory.VM) error {
	target, err := d.target(vm)
	if err == nil {
		_, err = d.ssh.HostKey(ctx, target)
	}
	return d.explain(ctx, outage.AsAsked, vm, err)
}
