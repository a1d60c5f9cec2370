package access

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// How says how a connection is made. The zero value is as the command line
// asked.
type How struct {
	Mode      outage.Mode
	KeepAlive time.Duration // how often an idle connection is probed; 0 = keepAlive
	Banner    func(string)  // shows what the VM's SSH server says before the login; nil = nobody

	contacts *contacts // of a Batch; nil: first contacts are told one by one
	alone    bool      // no connection is kept for later commands
}

// Connect opens an SSH connection to the VM. With a recorded key it connects
// at once and asks the API nothing; only a missing or refused key needs the
// API. The error says why not: the stage that failed, the last known state of
// the VM, or why no key could be had.
func (d *Dialer) Connect(ctx context.Context, vm inventory.VM, how How) (*sshconn.Conn, error) {
	if !d.keys.Has(vm.ID) || !d.api.CacheFirst(how.Mode) {
		if err := d.needKey(ctx, vm, how); err != nil {
			return nil, err
		}
	}
	conn, err := d.Dial(ctx, vm, how)
	if keys.IsLost(err) {
		conn, err = d.dialAnew(ctx, vm, how, err)
	}
	if !errors.Is(err, sshconn.ErrKeyRefused) {
		return conn, d.explain(ctx, how.Mode, vm, err)
	}
	d.noteRefused(vm)
	changed, keyErr := d.keys.Obtain(ctx, how.Mode, vm)
	if keyErr != nil || !changed {
		return nil, d.refusedError(how.Mode, vm, err, keyErr)
	}
	d.o.Warn("the API has a new key for " + vm.Title())
	conn, err = d.Dial(ctx, vm, how)
	if errors.Is(err, sshconn.ErrKeyRefused) {
		return nil, d.refusedError(how.Mode, vm, err, nil)
	}
	return conn, d.explain(ctx, how.Mode, vm, err)
}

// needKey fetches the key of a VM that has none recorded.
func (d *Dialer) needKey(ctx context.Context, vm inventory.VM, how How) error {
	_, err := d.keys.Obtain(ctx, how.Mode, vm)
	if err == nil {
		return nil
	}
	return d.noKeyError(ctx, vm, err)
}

// dialAnew is dial after the recorded key turned out to be damaged and was set
// aside. Without a new one that damage is the error.
func (d *Dialer) dialAnew(ctx context.Context, vm inventory.VM, how How, damage error) (*sshconn.Conn, error) {
	d.o.Warn(problem.Why(damage) + "; asking the API for the key of " + vm.Title())
	err := d.needKey(ctx, vm, how)
	if err == nil {
		return d.Dial(ctx, vm, how)
	}
	return nil, &problem.Error{Kind: problem.Storage, What: "cannot read the key of " + vm.Title(), Why: problem.Why(damage) + "; a new one cannot be had: " + problem.Why(err),
		Next: "vers-fleet keys sync while the API is up fetches it again", Origin: problem.OriginLocal, Err: damage}
}

// target says how to reach the VM, from what is recorded alone.
func (d *Dialer) target(vm inventory.VM) (sshconn.Target, error) {
	record, err := d.store.Record(vm.ID)
	if err != nil && !keystore.IsNotFound(err) {
		return sshconn.Target{}, problem.OfStorage("read the record of "+vm.Title(), err)
	}
	t := sshconn.Target{VMID: vm.ID, Name: vm.Title(), User: "root", ServerName: d.front.HostName(vm.ID), Strict: d.o.StrictSSH || !d.o.TLSVerify}
	t.Endpoints = d.endpoints(vm.ID, record)
	for _, k := range record.HostKeys {
		t.HostKeys = append(t.HostKeys, k.Key)
	}
	return t, nil
}

// Dial connects with the recorded keys and records what it learns.
func (d *Dialer) Dial(ctx context.Context, vm inventory.VM, how How) (*sshconn.Conn, error) {
	keys, err := d.keys.Candidates(vm.ID)
	if err != nil {
		return nil, problem.OfStorage("read the key of "+vm.Title(), err)
	}
	return d.dialWith(ctx, vm, how, keys)
}

// dialWith is dial with keys that were read already.
func (d *Dialer) dialWith(ctx context.Context, vm inventory.VM, how How, keys [][]byte) (*sshconn.Conn, error) {
	target, err := d.target(vm)
	if err != nil {
		return nil, err
	}
	target.Keys = keys
	ssh := d.ssh
	ssh.Banner = how.Banner
	if how.KeepAlive > 0 {
		ssh.KeepAlive = how.KeepAlive
	}
	conn, err := ssh.Dial(ctx, target)
	if err != nil {
		conn, err = d.supersede(ctx, vm, how, &ssh, target, err)
	}
	if err != nil {
		return nil, err
	}
	d.learn(vm, how, conn.Info())
	return conn, nil
}

// learn records a login that worked: the key is proved, the host key pinned,
// the address remembered. A full disk must not cost the connection that was
// just made, so failing to is a warning.
func (d *Dialer) learn(vm inventory.VM, how How, info sshconn.Info) {
	vouched := d.vouched(how.Mode) && info.Endpoint.Network == sshconn.NetworkTLS // at a bare address nobody answers for it
	err := d.store.Proved(vm.ID, info.PublicKey, keystore.Endpoint{Network: info.Endpoint.Network, Address: info.Endpoint.Address,
		IPs: info.Endpoint.IPs}, info.HostKey, vouched)
	if err == nil && info.FirstContact {
		err = d.store.PinHostKey(vm.ID, info.HostKey, vouched, []string{d.front.HostName(vm.ID)})
	}
	if info.FirstContact {
		d.met(vm, how, info, err == nil)
	}
	if err != nil {
		d.o.Warn("connected, but what was learned could not be recorded: " + err.Error())
	}
}

// endpoints lists the ways to the VM that are tried side by side: through the
// platform's TLS front or the configured gateway, with the addresses it had
// last time in case DNS is down, and directly. Directly no certificate says
// who answers, so that way is for VMs whose host key is known.
func (d *Dialer) endpoints(id string, r keystore.Record) []sshconn.Endpoint {
	first := sshconn.Endpoint{Network: sshconn.NetworkTLS, Address: d.front.Address(id)}
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

func (d *Dialer) noteRefused(vm inventory.VM) {
	err := d.store.UpdateRecord(vm.ID, func(r *keystore.Record) error {
		r.RefusedAt = d.o.Now().UTC()
		return nil
	})
	if err != nil {
		d.o.Logf("the refusal could not be recorded: %v", err)
	}
}
