package access

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// PinMissing asks the VMs that have a key but no pinned host key for it; the
// handshake needs no login. VMs that do not answer are left for next time, and
// all of them to another process that is asking already: silent ones take
// long, and a sync from cron must not pile up behind them.
func (d *Dialer) PinMissing(ctx context.Context, vms []inventory.VM) (int, error) {
	if len(d.unpinned(vms)) == 0 {
		return 0, nil
	}
	release, err := d.store.Lock(ctx, "pin", false)
	if keystore.KindOf(err) == keystore.KindLocked {
		d.o.Logf("another process is asking the VMs for their host keys")
		return 0, nil
	}
	if err != nil {
		return 0, problem.OfStorage("record host keys", err)
	}
	defer release()
	todo := d.unpinned(vms)
	var mu sync.Mutex
	pinned := 0
	var failed error
	problem.Each(len(todo), keys.SyncJobs, func(n int) {
		err := d.pinHostKey(ctx, todo[n])
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			pinned++
		} else if problem.KindOf(err) == problem.Storage {
			failed = err
		}
	})
	return pinned, failed
}

// unpinned are the running VMs that have a key but no pinned host key; none
// where the front proves nothing, as pinning then would be believing anybody.
func (d *Dialer) unpinned(vms []inventory.VM) (ids []string) {
	if !d.o.TLSVerify {
		return nil
	}
	for _, vm := range vms {
		if r, err := d.store.Record(vm.ID); err == nil && len(r.HostKeys) == 0 && vm.State == string(api.StateRunning) {
			ids = append(ids, vm.ID)
		}
	}
	return ids
}

// PinFresh is pinMissing after new keys came with a listing, which it must not
// hold up for long; keys sync pins the rest.
func (d *Dialer) PinFresh(ctx context.Context, vms []inventory.VM) error {
	ctx, stop := context.WithTimeout(ctx, d.api.Brief())
	defer stop()
	_, err := d.PinMissing(ctx, vms)
	return err
}

func (d *Dialer) pinHostKey(ctx context.Context, id string) error {
	target, err := d.target(inventory.VM{ID: id})
	if err != nil {
		return err
	}
	key, err := d.ssh.HostKey(ctx, target)
	if err != nil {
		d.o.Logf("the host key of %s was not learned: %v", id, err)
		return err
	}
	return problem.OfStorage("record the host key of "+id, d.store.PinHostKey(id, key, d.vouched(outage.AsAsked), []string{d.front.HostName(id)}))
}

// AcceptHostKey replaces the pinned host keys of a VM by the one it shows now,
// provided its fingerprint is the one given.
func (d *Dialer) AcceptHostKey(ctx context.Context, vm inventory.VM, fingerprint string) error {
	target, err := d.target(vm)
	if err != nil {
		return err
	}
	target.HostKeys = nil
	key, err := d.ssh.HostKey(ctx, target)
	if err != nil {
		return d.explain(ctx, outage.AsAsked, vm, err)
	}
	if got := sshconn.Fingerprint(key); got != fingerprint {
		return &problem.Error{Kind: problem.Identity, What: "the host key of " + vm.Title() + " was not accepted", Origin: problem.OriginSSH,
			Why: "it is " + got + ", not " + fingerprint, Next: "compare again with a trusted source"}
	}
	return problem.OfStorage("record the host key", d.replaceHostKeys(vm.ID, key))
}

// replaceHostKeys pins one confirmed host key instead of all others. It is one
// step: without any pin, whoever connects meanwhile would pin what it meets.
func (d *Dialer) replaceHostKeys(id, key string) error {
	err := d.store.UpdateRecord(id, func(r *keystore.Record) error {
		r.HostKeys = []keystore.HostKey{{Key: key, FirstSeen: d.o.Now().UTC(), Confirmed: true}}
		return nil
	})
	if err == nil {
		err = d.store.PinHostKey(id, key, true, []string{d.front.HostName(id)})
	}
	return err
}

// supersede connects once more to a VM that was refused for its host key when
// nothing speaks for the recorded one but a bundle, and the platform's front
// answers for the VM now. What it shows there takes the claim's place. In every
// other case the refusal stands.
func (d *Dialer) supersede(ctx context.Context, vm inventory.VM, how How, ssh *sshconn.Dialer, target sshconn.Target, refused error) (*sshconn.Conn, error) {
	var hk *sshconn.HostKeyError
	if !errors.As(refused, &hk) || d.o.StrictSSH || !d.vouched(how.Mode) {
		return nil, refused
	}
	if unconfirmed, imported := d.claimsOnly(vm.ID); !unconfirmed || !imported {
		return nil, refused
	}
	target.Endpoints, target.HostKeys = target.Endpoints[:1], []string{hk.Key} // the front, which has a certificate
	conn, err := ssh.Dial(ctx, target)
	if errors.Is(err, sshconn.ErrKeyRefused) {
		return nil, err
	}
	if err != nil {
		return nil, refused
	}
	d.o.Warn("the host key that a bundle claimed for " + vm.Title() + " (" + strings.Join(hk.Want, ", ") + ") is wrong: it is " + hk.Got +
		", by the word of the platform, and recorded so")
	if err := d.replaceHostKeys(vm.ID, hk.Key); err != nil {
		d.o.Warn("the host key could not be recorded: " + err.Error())
	}
	return conn, nil
}

// claimsOnly reports whether nobody ever vouched for any recorded host key of a
// VM, and whether they all came from bundles.
func (d *Dialer) claimsOnly(id string) (unconfirmed, imported bool) {
	r, err := d.store.Record(id)
	unconfirmed = err == nil && len(r.HostKeys) > 0
	imported = unconfirmed
	for _, k := range r.HostKeys {
		unconfirmed, imported = unconfirmed && !k.Confirmed, imported && k.Imported
	}
	return unconfirmed, imported
}

// vouched reports whether a host key that a VM shows now has somebody's word
// beside the VM's own: the API is known to be up, so that the platform's front
// answers for its VMs, and that front has proved who it is.
func (d *Dialer) vouched(m outage.Mode) bool { return d.o.TLSVerify && d.api.Vouches(m) }
