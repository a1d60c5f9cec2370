package inventory

import (
	"context"
	"slices"

	"github.com/vers-fleet/vers-fleet/keystore"
)

// labelNames are the names that an inventory's labels give a VM.
func labelNames(v keystore.InventoryVM) []namedVM {
	var out []namedVM
	for _, s := range nameSources() {
		if name := v.Labels[labelOf(s)]; labelOf(s) != "" && name != "" {
			out = append(out, namedVM{VMID: v.ID, Name: name, Role: v.Labels["role"], Source: s})
		}
	}
	return out
}

// labelOf is the label that a source of names reads.
func labelOf(s NameSource) string {
	switch s {
	case SourceLabelName:
		return "name"
	case SourceLabelLieutenant:
		return "lieutenant"
	case SourceLabelAgent:
		return "agent"
	}
	return ""
}

func (n namedVM) byLabel() bool {
	return labelOf(n.Source) != ""
}

// keepGoneNames records the names of VMs that a new listing leaves out while
// their keys are here: a listing may be incomplete, and a VM that works on
// must still be found by its name.
func (iv *Inventory) keepGoneNames(next keystore.Inventory) error {
	old, err := iv.recordedInventory()
	if err != nil {
		return nil // there is none
	}
	listed := make(map[string]bool, len(next.VMs))
	for _, v := range next.VMs {
		listed[v.ID] = true
	}
	var gone []namedVM
	for _, v := range old.VMs {
		if !listed[v.ID] && iv.keys.HasKey(v.ID) {
			gone = append(gone, labelNames(v)...)
		}
	}
	back := func(n namedVM) bool { return n.byLabel() && listed[n.VMID] }
	doc, err := iv.readNamesDoc()
	if err != nil || len(gone) == 0 && !slices.ContainsFunc(doc.Recorded, back) {
		return nil // names that cannot be read are told of where they are read
	}
	return iv.updateNames(context.Background(), func(d *namesDoc) {
		d.Recorded = slices.DeleteFunc(d.Recorded, back)
		for _, n := range gone {
			if !slices.Contains(d.Recorded, n) {
				d.Recorded = append(d.Recorded, n)
			}
		}
	})
}

// yield takes from VMs that are gone the names that a listed VM bears now, and
// forgets those whose key was forgotten. keys are the ids with a key, in order.
func (b nameBook) yield(inv keystore.Inventory, keys []string) {
	type name struct {
		name   string
		source NameSource
	}
	if len(b.names) == 0 {
		return
	}
	taken := map[name]bool{}
	listed := map[string]bool{}
	for _, v := range inv.VMs {
		listed[v.ID] = true
		for _, n := range labelNames(v) {
			taken[name{n.Name, n.Source}] = true
		}
	}
	for id, names := range b.names {
		names = slices.DeleteFunc(names, func(n namedVM) bool {
			_, hasKey := slices.BinarySearch(keys, id)
			return n.byLabel() && (listed[id] || taken[name{n.Name, n.Source}] || !hasKey)
		})
		if b.names[id] = names; len(names) == 0 {
			delete(b.names, id)
		}
	}
}
