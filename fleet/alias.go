package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
)

// Alias is a name of the user's own for a VM.
type Alias struct {
	Alias string `json:"alias"`
	VMID  string `json:"vm_id"`
}

// Aliases returns the user's names, in order.
func (f *Fleet) Aliases() ([]Alias, error) {
	doc, err := f.readNamesDoc()
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

// SetAlias gives a VM a name, which wins over all names from elsewhere. A name
// that is taken moves, and the VM it named before is returned.
func (f *Fleet) SetAlias(ctx context.Context, name string, vm VM) (before string, err error) {
	if _, err := lieutenant.CheckName(name); err != nil {
		return "", &Error{Kind: Usage, What: fmt.Sprintf("%q cannot be an alias", name), Why: err.Error(), Origin: OriginLocal, Err: err}
	}
	err = f.updateNames(ctx, func(d *namesDoc) {
		before = d.Aliases[name]
		d.Aliases[name] = vm.ID
	})
	return before, err
}

// RemoveAlias takes a name back. The error is of kind NotFound if there is
// none.
func (f *Fleet) RemoveAlias(ctx context.Context, name string) error {
	found := false
	err := f.updateNames(ctx, func(d *namesDoc) {
		_, found = d.Aliases[name]
		delete(d.Aliases, name)
	})
	if err == nil && !found {
		return &Error{Kind: NotFound, What: fmt.Sprintf("there is no alias %q", name), Origin: OriginLocal, Next: "see: vers-fleet alias list"}
	}
	return err
}

func (f *Fleet) updateNames(ctx context.Context, change func(*namesDoc)) error {
	err := f.keys.Doc(namesDocName).Update(ctx, func(old []byte) ([]byte, error) {
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
	return storageError("write the names", err)
}

// nearest returns up to three known names that look like word.
func nearest(vms []VM, word string) []string {
	type scored struct {
		name string
		d    int
	}
	var all []scored
	for _, vm := range vms {
		for _, n := range vm.Names {
			if d := distance(strings.ToLower(n.Name), strings.ToLower(word)); d <= max(2, len(word)/3) {
				all = append(all, scored{n.Name, d})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return a.d - b.d })
	var out []string
	for _, s := range all {
		if !slices.Contains(out, s.name) && len(out) < 3 {
			out = append(out, s.name)
		}
	}
	return out
}

// distance is the Levenshtein distance of two short words, in runes.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	if len(s) > 64 || len(t) > 64 {
		return 64
	}
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		prev := row[0]
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(t)]
}

// CompletionName is a name that a shell may complete to.
type CompletionName struct{ Name, State, Role string }

// CompletionNames returns every name in the record, and the ids of VMs without
// one, without reading a key or asking the API.
func (f *Fleet) CompletionNames() ([]CompletionName, error) {
	vms, err := f.known()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(vms, byName)
	var out []CompletionName
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
			out = append(out, CompletionName{Name: n, State: vm.State, Role: vm.Role})
		}
	}
	return out, nil
}
