package inventory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// formerName is a name that a VM's labels gave it before.
type formerName struct {
	VMID    string    `json:"vm_id"`
	Name    string    `json:"name"`
	UntilAt time.Time `json:"until_at"` // when a listing first said otherwise
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
				former = append(former, formerName{VMID: v.ID, Name: n.Name, UntilAt: next.AsOf.Truncate(time.Second)})
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
		d.Former = append(d.Former, former...)
		d.Former = d.Former[max(0, len(d.Former)-maxFormer):]
	})
}

// renamed is the error for a name that a VM bore before; nil if none did. Nothing
// is done with that VM: it may be meant, or the one that was to have the name.
func renamed(vms []VM, word string) error {
	var found *VM
	var since time.Time
	for i, vm := range vms {
		for _, f := range vm.former {
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
