package access

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// VMs made from one image have its host key, and may have its login key too
// (docs/platform.md).
const (
	siblingKeys  = 16              // that are tried at most, those that worked last first
	keysAtATime  = 4               // offered in one login: sshd takes six
	siblingsHint = 5 * time.Second // for finding out whether there are any
)

// TrySiblings gives a VM that has no recorded key one that a sibling's login
// key turned out to be: of the recorded VMs with the host key that the VM shows,
// and of no others. The key that works is recorded. The error is of kind
// NotFound when there is no such VM, and LoginRefused when none of the keys
// fits.
func (d *Dialer) TrySiblings(ctx context.Context, vm inventory.VM) error {
	if d.keys.Has(vm.ID) {
		return nil
	}
	target, err := d.target(vm)
	if err != nil {
		return err
	}
	hostKey, err := d.ssh.HostKey(ctx, target)
	if err != nil {
		return d.explain(ctx, outage.AsAsked, vm, err)
	}
	siblings, err := d.siblings(vm.ID, hostKey)
	if err != nil {
		return err
	}
	if len(siblings) == 0 {
		return &problem.Error{Kind: problem.NotFound, What: "no key may be tried on " + vm.Title(), Origin: problem.OriginLocal,
			Why: "no recorded VM has its host key, " + sshconn.Fingerprint(hostKey), Next: "vers-fleet keys sync while the API is up fetches its own"}
	}
	target.HostKeys, target.Strict = []string{hostKey}, true
	for some := range slices.Chunk(siblings[:min(len(siblings), siblingKeys)], keysAtATime) {
		if err = d.trySome(ctx, vm, target, some); !errors.Is(err, sshconn.ErrKeyRefused) {
			return d.explain(ctx, outage.AsAsked, vm, err)
		}
	}
	return &problem.Error{Kind: problem.LoginRefused, What: vm.Title() + " takes no key of its siblings", Origin: problem.OriginSSH, Err: err,
		Why:  problem.Counted(len(siblings), "key") + " of VMs with the same host key were known",
		Next: "vers-fleet keys sync while the API is up fetches its own"}
}

// siblings are recorded VMs with the host key, one for each login key, the one
// that worked last first.
func (d *Dialer) siblings(id, hostKey string) ([]keystore.Record, error) {
	records, _, err := d.store.Records()
	if err != nil {
		return nil, problem.OfStorage("read the keystore", err)
	}
	slices.SortStableFunc(records, func(a, b keystore.Record) int { return b.ProvedAt.Compare(a.ProvedAt) })
	seen := map[string]bool{}
	return slices.DeleteFunc(records, func(r keystore.Record) bool {
		isSibling := r.VMID != id && r.HasKey() && !seen[r.PublicKey] &&
			slices.ContainsFunc(r.HostKeys, func(k keystore.HostKey) bool { return k.Key == hostKey })
		seen[r.PublicKey] = seen[r.PublicKey] || isSibling
		return !isSibling
	}), nil
}

// trySome logs in with the keys of some siblings and records the one that
// works.
func (d *Dialer) trySome(ctx context.Context, vm inventory.VM, target sshconn.Target, siblings []keystore.Record) error {
	pems := map[string][]byte{}
	for _, r := range siblings {
		keys, err := d.keys.Candidates(r.VMID)
		if err != nil || len(keys) == 0 {
			d.o.Logf("the key of %s cannot be read: %v", r.VMID, err)
			continue
		}
		pems[r.PublicKey] = keys[0]
		target.Keys = append(target.Keys, keys[0])
	}
	conn, err := d.ssh.Dial(ctx, target)
	if err != nil {
		return err
	}
	defer conn.Close()
	public := conn.Info().PublicKey
	of := siblings[max(0, slices.IndexFunc(siblings, func(r keystore.Record) bool { return r.PublicKey == public }))]
	if _, err := d.store.PutKey(vm.ID, pems[public], keystore.KeyInfo{Source: "sibling:" + of.VMID}); err != nil {
		return problem.OfStorage("record the key of "+vm.Title(), err)
	}
	if err := d.store.PinHostKey(vm.ID, target.HostKeys[0], d.vouched(outage.AsAsked), []string{d.front.HostName(vm.ID)}); err != nil {
		return problem.OfStorage("record the host key of "+vm.Title(), err)
	}
	d.learn(vm, How{}, conn.Info())
	d.o.Warn(vm.Title() + " takes the key of " + cmp.Or(of.VMID, "a sibling") + ", which is recorded for it now")
	return nil
}

// siblingAdvice tells of TrySiblings where it may help; "" elsewhere.
func (d *Dialer) siblingAdvice(ctx context.Context, vm inventory.VM) string {
	ctx, stop := context.WithTimeout(ctx, siblingsHint)
	defer stop()
	target, err := d.target(vm)
	if err != nil {
		return ""
	}
	hostKey, err := d.ssh.HostKey(ctx, target)
	if err != nil {
		return ""
	}
	if siblings, err := d.siblings(vm.ID, hostKey); err != nil || len(siblings) == 0 {
		return ""
	}
	return "VMs of the same image are recorded, and their key may fit: vers-fleet ssh --try-sibling-keys " + vm.Arg()
}
