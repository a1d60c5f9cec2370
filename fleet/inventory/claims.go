package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Claims judges the names that a bundle brings. A bundle is the word of whoever
// wrote it, so it may add names and change none: what means a VM here keeps
// meaning it.
type Claims struct {
	iv    *Inventory
	known *Directory
	names bool   // somebody has agreed to new names
	doc   []byte // the bundle's names, as they came
}

// Claims begins to judge a bundle. Without names it takes none over, and says
// which it would.
func (iv *Inventory) Claims(names bool) (*Claims, error) {
	known, err := iv.Known()
	if err != nil {
		return nil, err
	}
	return &Claims{iv: iv, known: NewDirectory(known), names: names}, nil
}

// judge says why a name cannot be taken over; "" if it can.
func (c *Claims) judge(n namedVM) string {
	if _, err := lieutenant.CheckName(n.Name); err != nil {
		return "it is no name: " + err.Error()
	}
	if !api.ValidID(n.VMID) {
		return "it names no VM"
	}
	if n.Source != SourceAlias && !slices.Contains(nameSources(), n.Source) {
		return "nobody knows where it comes from"
	}
	for _, from := range nameSources() {
		for _, vm := range c.known.named(n.Name, from) {
			if vm.ID != n.VMID {
				return "here it means another VM, " + vm.ID
			}
		}
	}
	if len(c.known.withPrefix(n.Name)) > 0 {
		return "here it could be the id of another VM"
	}
	return ""
}

// Doc merges the names of a bundle and lists each that is new or refused.
func (c *Claims) Doc(ctx context.Context, name string, data []byte, dryRun bool) ([]keystore.PlanItem, error) {
	if name != NamesDoc {
		return []keystore.PlanItem{{What: "doc", Name: name, Action: keystore.ActionRefuse, Why: "it is of no kind known here"}}, nil
	}
	theirs, err := decodeNames(data)
	if err != nil {
		return []keystore.PlanItem{{What: "doc", Name: name, Action: keystore.ActionRefuse, Why: "it cannot be read"}}, nil
	}
	c.doc = data
	ours, err := c.iv.readNamesDoc()
	if err != nil {
		return nil, err
	}
	items, fresh := c.news(ours, append(theirs.aliases(), theirs.Recorded...))
	if dryRun || len(fresh) == 0 {
		return items, nil
	}
	return items, c.iv.updateNames(ctx, func(d *namesDoc) {
		for _, n := range fresh {
			d.claim(n)
		}
	})
}

// news lists what is new or refused among claimed names, and what to take over.
func (c *Claims) news(ours namesDoc, claimed []namedVM) (items []keystore.PlanItem, fresh []namedVM) {
	for _, n := range claimed {
		item := keystore.PlanItem{What: "name", VMID: n.VMID, Action: keystore.ActionAdd, Why: fmt.Sprintf("%q, from %s", n.Name, n.Source)}
		if n.Source == SourceAlias {
			item.What = "alias"
		}
		if why := c.judge(n); why != "" {
			item.Action, item.Why = keystore.ActionRefuse, fmt.Sprintf("%q: %s", n.Name, why)
		} else if !ours.claim(n) {
			continue // nothing new
		} else if !c.names {
			item.Action, item.Why = keystore.ActionKeep, item.Why+": left out, as nobody has agreed to it"
		} else {
			fresh = append(fresh, n)
		}
		items = append(items, item)
	}
	return items, fresh
}

// claim adds a name, and tells whether it is new.
func (d *namesDoc) claim(n namedVM) bool {
	if n.Source != SourceAlias {
		if slices.Contains(d.Recorded, n) {
			return false
		}
		d.Recorded = append(slices.Clip(d.Recorded), n)
		return true
	}
	if _, have := d.Aliases[n.Name]; have {
		return false
	}
	d.Aliases = maps.Clone(d.Aliases)
	if d.Aliases == nil {
		d.Aliases = map[string]string{}
	}
	d.Aliases[n.Name] = n.VMID
	return true
}

// VM judges the labels that name a VM, and lists each that is new: what names a VM
// here stays, and what is claimed beside it is added if it can be.
func (c *Claims) VM(claimed, here keystore.InventoryVM, merged *keystore.InventoryVM) (items []keystore.PlanItem) {
	labels := maps.Clone(merged.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for _, s := range nameSources() {
		delete(labels, labelOf(s))
	}
	for _, n := range labelNames(here) {
		labels[labelOf(n.Source)] = n.Name
	}
	for _, n := range labelNames(claimed) {
		if labels[labelOf(n.Source)] != "" {
			continue
		}
		item := keystore.PlanItem{What: "name", VMID: n.VMID, Action: keystore.ActionAdd, Why: fmt.Sprintf("%q, from %s", n.Name, n.Source)}
		if why := c.judge(n); why != "" {
			item.Action, item.Why = keystore.ActionRefuse, fmt.Sprintf("%q: %s", n.Name, why)
		} else if !c.names {
			item.Action, item.Why = keystore.ActionKeep, item.Why+": left out, as nobody has agreed to it"
		} else {
			labels[labelOf(n.Source)] = n.Name
		}
		items = append(items, item)
	}
	if merged.Labels = labels; len(labels) == 0 {
		merged.Labels = nil
	}
	return items
}

// Plan gives the VMs of a plan the names that the bundle's document, or this
// machine, has for them.
func (c *Claims) Plan(plan keystore.Plan) {
	names, _ := decodeNames(c.doc) // Doc reports what cannot be read
	book := nameBook{names: map[string][]namedVM{}}
	for _, n := range append(names.aliases(), names.Recorded...) {
		book.add(n)
	}
	for _, v := range plan.Inventory.VMs {
		for _, n := range labelNames(v) {
			book.add(n)
		}
	}
	for _, vm := range c.known.vms {
		for _, n := range vm.Names {
			book.add(namedVM{VMID: vm.ID, Name: n.Name, Source: n.Source})
		}
	}
	for i, item := range plan.Items {
		if found := book.of(&VM{ID: item.VMID}); len(found) > 0 {
			plan.Items[i].Name = found[0].Name
		}
	}
}
