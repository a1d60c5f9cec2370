package inventory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// FormerName is a name that a source gave a VM before it said otherwise. It is
// shown and advised upon, and selects nothing: the newer statement wins.
type FormerName struct {
	Name    string     `json:"name"`
	Source  NameSource `json:"source,omitempty"` // "" in what older versions recorded
	UntilAt time.Time  `json:"until_at"`         // when the source was first seen to say otherwise
}

// formerName is that, of which VM.
type formerName struct {
	VMID string `json:"vm_id"`
	FormerName
}

// former is the name as one that ended at that time.
func (n namedVM) former(until time.Time) formerName {
	return formerName{VMID: n.VMID, FormerName: FormerName{Name: n.Name, Source: n.Source, UntilAt: until.UTC().Truncate(time.Second)}}
}

// maxFormer bounds the former names that are kept.
const maxFormer = 200

// keepFormerNames records the names that a new listing no longer gives to VMs it
// lists: whoever uses one of them is to be told the new one.
func (iv *Inventory) keepFormerNames(next keystore.Inventory) error {
	old, err := iv.recordedInventory()
	if err != nil {
		return nil // there is none
	}
	before := make(map[string][]namedVM, len(old.VMs))
	for _, v := range old.VMs {
		before[v.ID] = labelNames(v)
	}
	var former []formerName
	for _, v := range next.VMs {
		now := labelNames(v)
		for _, n := range before[v.ID] {
			if !slices.ContainsFunc(now, func(m namedVM) bool { return m.Name == n.Name }) {
				former = append(former, n.former(next.AsOf))
			}
		}
	}
	if len(former) == 0 {
		return nil
	}
	if _, err := iv.readNamesDoc(); err != nil {
		return nil // told of where they are read
	}
	return iv.updateNames(context.Background(), func(d *namesDoc) {
		d.addFormer(former)
	})
}

func (d *namesDoc) addFormer(former []formerName) {
	d.Former = append(d.Former, former...)
	d.Former = d.Former[max(0, len(d.Former)-maxFormer):]
}

// formerOf returns the names that the VM had and has no more, the latest first.
func (b nameBook) formerOf(vm *VM) []FormerName {
	var out []FormerName
	for _, f := range slices.Backward(b.former[vm.ID]) {
		has := slices.ContainsFunc(vm.Names, func(n Name) bool { return n.Name == f.Name }) ||
			slices.ContainsFunc(out, func(o FormerName) bool { return o.Name == f.Name })
		if _, err := lieutenant.CheckName(f.Name); err == nil && !has {
			out = append(out, f.FormerName)
		}
	}
	return out
}

// renamed is the error for a name that a VM bore before; nil if none did. Nothing
// is done with that VM: it may be meant, or the one that was to have the name.
func renamed(vms []VM, word string) error {
	var found *VM
	var since time.Time
	for i, vm := range vms {
		for _, f := range vm.FormerNames {
			if f.Name == word && vm.GoneAt.IsZero() && f.UntilAt.After(since) {
				found, since = &vms[i], f.UntilAt
			}
		}
	}
	if found == nil {
		return nil
	}
	return &problem.Error{Kind: problem.NotFound, What: fmt.Sprintf("no VM is called %q any more", word), Origin: problem.OriginLocal,
		Why: fmt.Sprintf("the VM %s is called %s since %s", found.ID, found.Title(), problem.Clock(since)), Next: "use that name: " + found.Arg()}
}
