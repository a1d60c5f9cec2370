package fleet

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Connect opens an SSH connection to the VM. With a recorded key it connects
// at once and asks the API nothing; only a missing or refused key needs the
// API. The error says why not: the stage that failed, the last known state of
// the VM, or why no key could be had.
func (f *Fleet) Connect(ctx context.Context, vm inventory.VM) (*sshconn.Conn, error) {
	if f.API.Mode(f.mode) == outage.Live || !f.Keys.Has(vm.ID) {
		if err := f.needKey(ctx, vm); err != nil {
			return nil, err
		}
	}
	conn, err := f.dial(ctx, vm)
	if keys.IsLost(err) {
		conn, err = f.dialAnew(ctx, vm, err)
	}
	if !errors.Is(err, sshconn.ErrKeyRefused) {
		return conn, f.explain(ctx, vm, err)
	}
	f.noteRefused(vm)
	changed, keyErr := f.Keys.Obtain(ctx, f.mode, vm)
	if keyErr != nil || !changed {
		return nil, f.refusedError(vm, err, keyErr)
	}
	f.o.Warn("the API has a new key for " + vm.Title())
	conn, err = f.dial(ctx, vm)
	if errors.Is(err, sshconn.ErrKeyRefused) {
		return nil, f.refusedError(vm, err, nil)
	}
	return conn, f.explain(ctx, vm, err)
}

// needKey fetches the key of a VM that has none recorded.
func (f *Fleet) needKey(ctx context.Context, vm inventory.VM) error {
	_, err := f.Keys.Obtain(ctx, f.mode, vm)
	if err == nil {
		return nil
	}
	return f.noKeyError(vm, err)
}

// dialAnew is dial after the recorded key turned out to be damaged and was set
// aside. Without a new one that damage is the error.
func (f *Fleet) dialAnew(ctx context.Context, vm inventory.VM, damage error) (*sshconn.Conn, error) {
	f.o.Warn(problem.Why(damage) + "; asking the API for the key of " + vm.Title())
	err := f.needKey(ctx, vm)
	if err == nil {
		return f.dial(ctx, vm)
	}
	return nil, &problem.Error{Kind: problem.Storage, What: "cannot read the key of " + vm.Title(), Why: problem.Why(damage) + "; a new one cannot be had: " + problem.Why(err),
		Next: "vers-fleet keys sync while the API is up fetches it again", Origin: problem.OriginLocal, Err: damage}
}

// target says how to reach the VM, from the record alone.
func (f *Fleet) target(vm inventory.VM) (sshconn.Target, keystore.Record, error) {
	record, err := f.keys.Record(vm.ID)
	if err != nil && !keystore.IsNotFound(err) {
		return sshconn.Target{}, record, problem.OfStorage("read the record of "+vm.Title(), err)
	}
	t := sshconn.Target{VMID: vm.ID, Name: vm.Title(), User: "root", ServerName: f.front.HostName(vm.ID), Strict: f.o.StrictSSH}
	t.Endpoints = f.endpoints(vm.ID, record)
	for _, k := range record.HostKeys {
		t.HostKeys = append(t.HostKeys, k.Key)
	}
	return t, record, nil
}

// dial connects with the recorded keys and records what it learns.
func (f *Fleet) dial(ctx context.Context, vm inventory.VM) (*sshconn.Conn, error) {
	keys, err := f.Keys.Candidates(vm.ID)
	if err != nil {
		return nil, problem.OfStorage("read the key of "+vm.Title(), err)
	}
	return f.dialWith(ctx, vm, keys)
}

// dialWith is dial with keys that were read already.
func (f *Fleet) dialWith(ctx context.Context, vm inventory.VM, keys [][]byte) (*sshconn.Conn, error) {
	target, record, err := f.target(vm)
	if err != nil {
		return nil, err
	}
	target.Keys = keys
	conn, err := f.dialer.Dial(ctx, target)
	if err != nil {
		return nil, err
	}
	f.learn(vm, record, conn.Info())
	return conn, nil
}

// learn records a login that worked: the key is proved, the host key pinned,
// the address remembered. A full disk must not cost the connection that was
// just made, so failing to is a warning.
func (f *Fleet) learn(vm inventory.VM, record keystore.Record, info sshconn.Info) {
	err := f.keys.Proved(vm.ID, info.PublicKey, keystore.Endpoint{Network: info.Endpoint.Network, Address: info.Endpoint.Address,
		IPs: info.Endpoint.IPs}, info.HostKey)
	if err == nil && info.FirstContact {
		err = f.keys.PinHostKey(vm.ID, info.HostKey, f.API.Vouches(f.mode), []string{f.front.HostName(vm.ID)})
	}
	if info.FirstContact {
		f.met(vm, info, err == nil)
	}
	if err != nil {
		f.o.Warn("connected, but what was learned could not be recorded: " + err.Error())
	}
}

// endpoints lists the ways to the VM that are tried side by side: through the
// platform's TLS front or the configured gateway, with the addresses it had
// last time in case DNS is down, and directly. Directly no certificate says
// who answers, so that way is for VMs whose host key is known.
func (f *Fleet) endpoints(id string, r keystore.Record) []sshconn.Endpoint {
	first := sshconn.Endpoint{Network: sshconn.NetworkTLS, Address: f.front.Address(id)}
	for _, e := range r.Endpoints {
		if e.Network == first.Network && e.Address == first.Address {
			first.IPs = e.IPs
		}
	}
	ways := []sshconn.Endpoint{first}
	if r.IP != "" && r.SSHPort != 0 && len(r.HostKeys) > 0 { // works from inside the platform's network
		ways = append(ways, sshconn.Endpoint{Network: sshconn.NetworkTCP, Address: net.JoinHostPort(r.IP, strconv.Itoa(r.SSHPort))})
	}
	return ways
}

func (f *Fleet) noteRefused(vm inventory.VM) {
	err := f.keys.UpdateRecord(vm.ID, func(r *keystore.Record) error {
		r.RefusedAt = f.o.Now().UTC()
		return nil
	})
	if err != nil {
		f.o.Logf("the refusal could not be recorded: %v", err)
	}
}
