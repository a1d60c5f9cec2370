package inventory

import (
	"slices"
	"strings"
)

// Directory finds VMs by id, by prefix of an id and by name, without looking
// at all of them each time.
type Directory struct {
	vms    []VM
	ids    []int // positions in vms, in the order of the ids
	byName map[Name][]int
}

// NewDirectory indexes the VMs, which stay as they are.
func NewDirectory(vms []VM) *Directory {
	d := &Directory{vms: vms, ids: make([]int, len(vms)), byName: make(map[Name][]int, len(vms))}
	for i, vm := range vms {
		d.ids[i] = i
		for _, n := range vm.Names {
			if at := d.byName[n]; len(at) == 0 || at[len(at)-1] != i { // one VM may bear a name twice
				d.byName[n] = append(at, i)
			}
		}
	}
	slices.SortFunc(d.ids, func(a, b int) int { return strings.Compare(vms[a].ID, vms[b].ID) })
	return d
}

// from is the position in ids of the first id that is not before the given one.
func (d *Directory) from(id string) int {
	at, _ := slices.BinarySearchFunc(d.ids, id, func(i int, id string) int { return strings.Compare(d.vms[i].ID, id) })
	return at
}

// ByID finds the VM of a full id.
func (d *Directory) ByID(id string) (VM, bool) {
	if at := d.from(id); at < len(d.ids) && d.vms[d.ids[at]].ID == id {
		return d.vms[d.ids[at]], true
	}
	return VM{}, false
}

// withPrefix returns the VMs whose ids begin like this, none if it is too
// short to mean an id.
func (d *Directory) withPrefix(prefix string) []VM {
	if len(prefix) < MinPrefix {
		return nil
	}
	var out []VM
	for _, i := range d.ids[d.from(prefix):] {
		if !strings.HasPrefix(d.vms[i].ID, prefix) {
			break
		}
		out = append(out, d.vms[i])
	}
	return out
}

// named returns the VMs that bear the name in the given source.
func (d *Directory) named(name string, source NameSource) []VM {
	var out []VM
	for _, i := range d.byName[Name{Name: name, Source: source}] {
		out = append(out, d.vms[i])
	}
	return out
}
