package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Alias is a name of the user's own for a VM.
type Alias struct {
	Alias string `json:"alias"`
	VMID  string `json:"vm_id"`
	Name  string `json:"name,omitempty"` // what the VM is called otherwise, if that is known
}

// Aliases returns the user's names, in order.
func (iv *Inventory) Aliases() ([]Alias, error) {
	doc, err := iv.readNamesDoc()
	if err != nil {
		return nil, err
	}
	out := make([]Alias, 0, len(doc.Aliases))
	for a, id := range doc.Aliases {
		out = append(out, Alias{Alias: a, VMID: id})
	}
	slices.SortFunc(out, func(a, b Alias) int { return strings.Compare(a.Alias, b.Alias) })
	return out, nil
}

// called is what to call a VM that bears these names. An alias is one more way
// to select a VM: it does not rename it, or a folder that mirrors the VM would
// start anew.
func called(names []Name) string {
	for _, n := range names {
		if n.Source != SourceAlias {
			return n.Name
		}
	}
	if len(names) > 0 {
		return names[0].Name
	}
	return ""
}

// hidden is the VM that bears the name here from a source other than an alias
// and is not the one given: an alias of that name would send people to another
// VM than the one they mean.
func hidden(vms []VM, name, id string) (VM, bool) {
	all := NewDirectory(vms)
	for _, from := range nameSources() {
		for _, vm := range all.named(name, from) {
			if from != SourceAlias && vm.ID != id {
				return vm, true
			}
		}
	}
	return VM{}, false
}

// SetAlias gives a VM a name, which wins over all names from elsewhere. An alias
// that is taken moves, and the VM it named before is returned. One that would
// hide another VM's name is refused, with kind Usage, unless forced.
func (iv *Inventory) SetAlias(ctx context.Context, name string, vm VM, force bool) (before string, err error) {
	clean, err := lieutenant.CheckName(name)
	if err != nil {
		return "", &problem.Error{Kind: problem.Usage, What: fmt.Sprintf("%q cannot be an alias", name), Why: err.Error(), Origin: problem.OriginLocal, Err: err}
	}
	known, err := iv.Known()
	if err != nil {
		return "", err
	}
	if other, hides := hidden(known, clean, vm.ID); hides && !force {
		return "", &problem.Error{Kind: problem.Usage, What: fmt.Sprintf("%q was not made an alias", clean), Origin: problem.OriginLocal,
			Why: "it is the name of another VM, " + other.ID + ", which it would hide", Next: "choose another name, or add --force"}
	}
	err = iv.updateNames(ctx, func(d *namesDoc) {
		before = d.Aliases[clean]
		d.Aliases[clean] = vm.ID
	})
	return before, err
}

// FreeName checks a name for a VM that is yet to be made, and returns it without
// the spaces around it: nothing living among the listed VMs is selected by it. The
// name of a VM that is gone is free. The error is of kind Usage.
func FreeName(vms []VM, name string) (string, error) {
	clean, err := lieutenant.CheckName(name)
	if err != nil {
		return "", &problem.Error{Kind: problem.Usage, What: fmt.Sprintf("%q cannot be a name", name), Why: err.Error(), Origin: problem.OriginLocal, Err: err}
	}
	living := slices.DeleteFunc(slices.Clone(vms), func(vm VM) bool { return !vm.GoneAt.IsZero() })
	switch vm, err := NewDirectory(living).Pick(clean); {
	case err == nil:
		return "", &problem.Error{Kind: problem.Usage, What: fmt.Sprintf("%q is taken", clean), Origin: problem.OriginLocal,
			Why: "it selects another VM, " + vm.ID, Next: "choose another name"}
	case problem.KindOf(err) == problem.Ambiguous:
		return "", &problem.Error{Kind: problem.Usage, What: fmt.Sprintf("%q is taken", clean), Origin: problem.OriginLocal,
			Why: "it selects several VMs", Next: "choose another name"}
	}
	return clean, nil
}

// RemoveAlias takes a name back, and returns the id of the VM that had it. The
// error is of kind NotFound if there is none.
func (iv *Inventory) RemoveAlias(ctx context.Context, name string) (id string, err error) {
	found := false
	err = iv.updateNames(ctx, func(d *namesDoc) {
		id, found = d.Aliases[name]
		delete(d.Aliases, name)
	})
	if err == nil && !found {
		return "", &problem.Error{Kind: problem.NotFound, What: fmt.Sprintf("there is no alias %q", name), Origin: problem.OriginLocal, Next: "see: vers-fleet alias list"}
	}
	return id, err
}

func (iv *Inventory) updateNames(ctx context.Context, change func(*namesDoc)) error {
	err := iv.keys.Doc(NamesDoc).Update(ctx, func(old []byte) ([]byte, error) {
		doc, err := decodeNames(old)
		if err != nil {
			return nil, err
		}
		if doc.Aliases == nil {
			doc.Aliases = map[string]string{}
		}
		change(&doc)
		data, err := json.MarshalIndent(doc, "", "  ")
		return append(data, '\n'), err
	})
	return problem.OfStorage("write the names", err)
}

// CompletionName is a name that a shell may complete to.
type CompletionName struct{ ID, Name, State, Role string }

// CompletionNames returns every name in the cache, and the ids of VMs without
// one, without reading a key or asking the API.
func (iv *Inventory) CompletionNames() ([]CompletionName, error) {
	vms, err := iv.Known()
	if err != nil {
		return nil, err
	}
	out := make([]CompletionName, 0, len(vms))
	for _, vm := range vms {
		names := []string{vm.ID}
		if len(vm.Names) > 0 {
			names = nil
		}
		for _, n := range vm.Names {
			if !slices.Contains(names, n.Name) {
				names = append(names, n.Name)
			}
		}
		for _, n := range names {
			out = append(out, CompletionName{ID: vm.ID, Name: n, State: vm.State, Role: vm.Role})
		}
	}
	return out, nil
}
