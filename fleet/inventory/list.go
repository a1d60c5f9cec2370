package inventory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// ListOptions says how List asks and what it lists.
type ListOptions struct {
	Mode    outage.Mode
	What    string         // completes "cannot ...": what the listing is for; "" = list the VMs
	Urgency outage.Urgency // while the API is down: whether to ask it only when a probe is due
	Quick   bool           // let the cache answer when the API has not within seconds
	Gone    bool           // include VMs that the API no longer lists
}

// List returns the fleet, from the API when it answers and from the cache
// else. A live answer is recorded. A failure, an empty list or a refused API
// key erases nothing.
func (iv *Inventory) List(ctx context.Context, o ListOptions) (Listing, error) {
	registry, stop := iv.askRegistry(ctx, o.Mode)
	defer stop()
	answer, err := iv.ask(ctx, o)
	if err != nil {
		return Listing{}, err
	}
	if answer.Source == outage.FromAPI && answer.Unsaved == nil {
		iv.keepNames(ctx, registry)
	}
	inv, source := answer.Value, answer.Source
	if source == outage.FromAPI && len(inv.VMs) == 0 { // kept has warned: what is known is what was recorded
		if old, err := iv.recordedInventory(); err == nil {
			inv, source = old, outage.FromCache
		}
	}
	vms, ids, err := iv.merged(inv, source)
	if err != nil {
		return Listing{}, err
	}
	list := Listing{Source: answer.Source, AsOf: answer.AsOf, Outage: answer.Outage, Unsaved: answer.Unsaved, VMs: vms}
	iv.readRecords(list.VMs, ids)
	list.VMs = slices.DeleteFunc(list.VMs, func(vm VM) bool { return !o.Gone && !vm.GoneAt.IsZero() })
	markLookalikes(list.VMs)
	return list, nil
}

// byName orders named VMs first, by name, and the rest by id.
func byName(a, b *VM) int {
	if (a.Name == "") != (b.Name == "") {
		if a.Name == "" {
			return 1
		}
		return -1
	}
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// sortByName moves each VM once: they are large, and there may be thousands.
func sortByName(vms []VM) {
	order := make([]int32, len(vms)) // where the VM of each place is
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return byName(&vms[a], &vms[b]) })
	for first := range order {
		if order[first] == int32(first) {
			continue
		}
		aside, at := vms[first], first
		for from := int(order[at]); from != first; from = int(order[at]) {
			vms[at], order[at], at = vms[from], int32(at), from
		}
		vms[at], order[at] = aside, int32(at)
	}
}

// ask asks for the list of VMs by the offline rule.
func (iv *Inventory) ask(ctx context.Context, o ListOptions) (outage.Answer[keystore.Inventory], error) {
	return outage.Ask(ctx, iv.api, outage.Call[keystore.Inventory]{
		Mode: o.Mode, What: cmp.Or(o.What, "list the VMs"), Repeatable: true, Urgency: o.Urgency, Quick: o.Quick,
		Live: func(ctx context.Context, c *api.Client) (keystore.Inventory, error) {
			vms, err := c.VMs(ctx)
			return iv.toInventory(vms), err
		},
		Keep: iv.keepInventory,
		Cached: func() (keystore.Inventory, time.Time, error) {
			inv, err := iv.recordedInventory()
			if keystore.IsNotFound(err) {
				return iv.inventoryOfKeys()
			}
			return inv, inv.AsOf, err
		},
	})
}

// recordedInventory is the inventory as it was last recorded. One that cannot be
// read is as good as none: it must not stand before the keys, which are still
// here.
func (iv *Inventory) recordedInventory() (keystore.Inventory, error) {
	inv, err := iv.keys.Inventory()
	if err == nil || keystore.IsNotFound(err) {
		return inv, err
	}
	iv.setAside("the recorded inventory cannot be read, so names and states are not known", err)
	return keystore.Inventory{}, &keystore.Error{Kind: keystore.KindNotFound, Op: "read inventory", Err: err}
}

// setAside warns, once, that something which is only convenient cannot be read.
// VMs and their keys do not depend on it, so the rescue goes on without.
func (iv *Inventory) setAside(what string, err error) {
	if _, said := iv.aside.LoadOrStore(what, true); !said {
		iv.o.Warn(what + ": " + err.Error())
	}
}

// inventoryOfKeys stands in for an inventory that was never recorded when keys
// were imported: it lists the VMs whose keys are here.
func (iv *Inventory) inventoryOfKeys() (keystore.Inventory, time.Time, error) {
	ids, err := iv.keys.IDs()
	if err == nil && len(ids) == 0 {
		err = outage.ErrNothingCached
	}
	return keystore.Inventory{}, time.Time{}, err
}

func (iv *Inventory) toInventory(vms []api.VM) keystore.Inventory {
	inv := keystore.Inventory{AsOf: iv.o.Now().UTC()}
	for _, v := range vms {
		inv.VMs = append(inv.VMs, keystore.InventoryVM{ID: v.ID,
			VMFacts: keystore.VMFacts{State: string(v.State), CreatedAt: v.CreatedAt, OwnerID: v.OwnerID, Labels: v.Labels}})
	}
	return inv
}

// keepInventory records a listing. VMs that are no longer in it become
// tombstones; an empty listing is believed to be a mistake of the server as
// long as VMs are recorded, so it is kept from erasing anything.
func (iv *Inventory) keepInventory(inv keystore.Inventory) error {
	if len(inv.VMs) == 0 {
		if old, err := iv.recordedInventory(); err == nil && len(old.VMs) > 0 {
			iv.o.Warn("the API lists no VM at all; what was recorded is kept")
			return nil
		}
	}
	if err := iv.api.Bind(); err != nil {
		return err
	}
	if err := iv.keepGoneNames(inv); err != nil {
		return err
	}
	if err := iv.keepFormerNames(inv); err != nil {
		return err
	}
	if err := iv.keys.PutInventory(inv); err != nil {
		return err
	}
	listed := make([]string, len(inv.VMs))
	for i, v := range inv.VMs {
		listed[i] = v.ID
	}
	return iv.keys.MarkGone(listed, inv.AsOf)
}

// Known returns every VM that the cache knows of, without asking the API and
// without reading the keys.
func (iv *Inventory) Known() ([]VM, error) {
	inv, err := iv.recordedInventory()
	if err != nil && !keystore.IsNotFound(err) {
		return nil, problem.OfStorage("read the recorded inventory", err)
	}
	vms, _, err := iv.merged(inv, outage.FromCache)
	return vms, err
}

// merged joins an inventory with the VMs known only from the keystore or from
// files with names, and gives all of them their names. What only this machine
// knows says so, whatever the source of the inventory. ids are the VMs that the
// keystore has.
func (iv *Inventory) merged(inv keystore.Inventory, source outage.Source) (vms []VM, ids []string, err error) {
	ids, err = iv.keys.IDs()
	if err != nil {
		return nil, nil, problem.OfStorage("read the keystore", err)
	}
	book := iv.readNames(func(id string) bool {
		_, has := slices.BinarySearch(ids, id)
		return has
	})
	book.yield(inv, ids)
	vms = make([]VM, 0, max(len(inv.VMs), len(ids)))
	taken := make(map[string]bool, cap(vms))
	take := func(id string, facts keystore.VMFacts, source outage.Source) {
		if !taken[id] {
			vms, taken[id] = append(vms, VM{ID: id, VMFacts: facts, Source: source}), true
		}
	}
	for _, v := range inv.VMs {
		take(v.ID, v.VMFacts, source)
	}
	for _, id := range slices.AppendSeq(slices.Clip(ids), maps.Keys(book.names)) {
		take(id, keystore.VMFacts{State: "unknown"}, outage.FromCache)
	}
	for i := range vms {
		vm := &vms[i]
		vm.Names = book.of(vm)
		vm.Name, vm.FormerNames = called(vm.Names), book.formerOf(vm)
		vm.Role = book.role(vm)
		book.setPhase(vm)
		vm.Endpoint = iv.o.Front.Address(vm.ID)
		vm.AsOf = inv.AsOf
	}
	sortByName(vms)
	return vms, ids, nil
}

// ReadRecords fills in what the keystore knows of each VM of a listing; again,
// when keys were recorded meanwhile.
func (iv *Inventory) ReadRecords(vms []VM) error {
	ids, err := iv.keys.IDs()
	if err != nil {
		return problem.OfStorage("read the keystore", err)
	}
	iv.readRecords(vms, ids)
	return nil
}

// readRecords is ReadRecords where the ids of the VMs in the keystore are known.
func (iv *Inventory) readRecords(vms []VM, ids []string) {
	records, findings := iv.keys.Summaries(ids)
	problems := make(map[string]string, len(findings))
	for _, finding := range findings {
		problems[finding.VMID] = finding.What
	}
	for i := range vms {
		vm := &vms[i]
		at, has := slices.BinarySearchFunc(records, vm.ID, func(r keystore.Summary, id string) int { return strings.Compare(r.VMID, id) })
		if has {
			vm.setRecord(&records[at])
		}
		vm.Key.Problem = problems[vm.ID]
	}
}

func (v *VM) setRecord(r *keystore.Summary) {
	v.Key = KeyState{Recorded: r.HasKey, Source: r.Source, FetchedAt: r.FetchedAt, ProvedAt: r.ProvedAt, RefusedAt: r.RefusedAt}
	v.GoneAt, v.ReachedAt = r.GoneAt, r.ReachedAt
}

// Select narrows the listing to a selection.
func (l Listing) Select(s Selection) ([]VM, error) { return Choose(l.VMs, s) }
