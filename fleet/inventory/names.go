package inventory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// NamesDoc is the document with the user's aliases and the names that
// other sources gave when they were last readable.
const NamesDoc = "names"

// namesDoc is its content.
type namesDoc struct {
	Version  int               `json:"version"`
	Aliases  map[string]string `json:"aliases"`            // alias -> VM id
	Recorded []namedVM         `json:"recorded,omitempty"` // from lieutenants.json, aliases.json and the registry
	Former   []formerName      `json:"former,omitempty"`
}

// namedVM is one name for one VM from one source outside the API.
type namedVM struct {
	VMID   string     `json:"vm_id"`
	Name   string     `json:"name"`
	Role   string     `json:"role,omitempty"`
	Source NameSource `json:"source"`
	Phase  string     `json:"phase,omitempty"`  // of its lieutenant, if the source says so
	SeenAt time.Time  `json:"seen_at,omitzero"` // when that was so
}

// aliases are the user's own names in their order, so that of several for one
// VM always the same is shown.
func (d namesDoc) aliases() []namedVM {
	var out []namedVM
	for _, alias := range slices.Sorted(maps.Keys(d.Aliases)) {
		out = append(out, namedVM{VMID: d.Aliases[alias], Name: alias, Source: SourceAlias})
	}
	return out
}

// nameBook holds all names that do not come from labels.
type nameBook struct {
	names  map[string][]namedVM // by VM id
	former map[string][]formerName
}

// of returns the VM's names, strongest first, each once.
func (b nameBook) of(vm *VM) []Name {
	listed := b.names[vm.ID]
	out := make([]Name, 0, len(listed)+1)
	add := func(name string, source NameSource) {
		if name == "" {
			return
		}
		if name, err := lieutenant.CheckName(name); err == nil {
			out = append(out, Name{Name: name, Source: source})
		}
	}
	for _, n := range listed {
		add(n.Name, n.Source)
	}
	add(vm.Labels["name"], SourceLabelName)
	add(vm.Labels["lieutenant"], SourceLabelLieutenant)
	add(vm.Labels["agent"], SourceLabelAgent)
	if len(out) < 2 {
		return out
	}
	order := nameSources()
	slices.SortStableFunc(out, func(a, b Name) int {
		return slices.Index(order, a.Source) - slices.Index(order, b.Source)
	})
	return out
}

// role is the label, or what the lieutenants' file or the registry says.
func (b nameBook) role(vm *VM) string {
	if r := vm.Labels["role"]; r != "" {
		return r
	}
	for _, n := range b.names[vm.ID] {
		if n.Role != "" {
			return n.Role
		}
	}
	return ""
}

// readNames collects the names from the user's aliases and from the files of
// other tools, for VMs whose keys are held. A file that cannot be read does not
// hide the others; what it said when it last could is used instead.
func (iv *Inventory) readNames(held func(id string) bool) nameBook {
	doc, err := iv.readNamesDoc()
	if err != nil {
		iv.setAside("the recorded names cannot be read, so aliases are not known", err)
		doc = namesDoc{}
	}
	book := nameBook{names: map[string][]namedVM{}, former: map[string][]formerName{}}
	for _, n := range doc.Former {
		book.former[n.VMID] = append(book.former[n.VMID], n)
	}
	fresh, seen := iv.nameFiles()
	names, former := doc.after(fresh, seen, held, iv.o.Now())
	for _, n := range append(doc.aliases(), names...) {
		book.add(n)
	}
	for _, n := range former {
		book.former[n.VMID] = append(book.former[n.VMID], n)
	}
	return book
}

// add takes a name for a VM. What is no VM's id is left out: an imported
// bundle may hold anything.
func (b nameBook) add(n namedVM) {
	if api.ValidID(n.VMID) {
		b.names[n.VMID] = append(b.names[n.VMID], n)
	}
}

// nameFiles reads the files of other tools. seen tells which sources had one.
func (iv *Inventory) nameFiles() (found []namedVM, seen map[NameSource]bool) {
	seen = map[NameSource]bool{}
	if list, ok := iv.lieutenants(); ok {
		seen[SourceLieutenants] = true
		for _, l := range list {
			if !l.Local {
				found = append(found, namedVM{VMID: l.VMID, Name: l.Name, Role: cmp.Or(l.Role, "lieutenant"), Source: SourceLieutenants})
			}
		}
	}
	if path := lieutenant.AliasesFile(iv.o.UserHome); path != "" {
		if data, ok := iv.readForeign(path); ok {
			aliases, err := lieutenant.ParseAliases(data)
			if err != nil {
				iv.setAside(path+" is not used", err)
				return found, seen
			}
			seen[SourceVersAliases] = true
			for _, a := range aliases {
				found = append(found, namedVM{VMID: a.VMID, Name: a.Name, Source: SourceVersAliases})
			}
		}
	}
	return found, seen
}

// maxNameFile bounds the files of other tools that are read on every start.
const maxNameFile = 8 << 20

func (iv *Inventory) readNamesDoc() (namesDoc, error) {
	data, err := iv.keys.Doc(NamesDoc).Read()
	if keystore.IsNotFound(err) {
		return namesDoc{Version: 1}, nil
	}
	if err != nil {
		return namesDoc{}, problem.OfStorage("read the recorded names", err)
	}
	return decodeNames(data)
}

func decodeNames(data []byte) (namesDoc, error) {
	doc := namesDoc{Version: 1}
	if len(data) == 0 {
		return doc, nil
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return doc, &problem.Error{Kind: problem.Storage, What: "cannot read the recorded names", Why: err.Error(), Origin: problem.OriginLocal,
			Next: "move names.json out of the profile's folder; aliases must then be set again", Err: err}
	}
	return doc, nil
}

// keepNames records what the sources of names outside the API say now, for the
// day they cannot be read. It stops nothing: names are a convenience.
func (iv *Inventory) keepNames(ctx context.Context, registry func() ([]namedVM, error)) {
	fresh, seen := iv.nameFiles()
	names, err := registry()
	switch {
	case err == nil:
		fresh, seen[SourceRegistry] = append(fresh, names...), true
	case !errors.Is(err, outage.ErrNotAsked):
		iv.o.Warn("the registry gives no names, so those recorded are used: " + outage.Reason(err))
	}
	if len(seen) == 0 {
		return
	}
	doc, err := iv.readNamesDoc()
	now := iv.o.Now()
	if err != nil || !doc.record(fresh, seen, iv.keys.HasKey, now) {
		return
	}
	if err := iv.updateNames(ctx, func(d *namesDoc) { d.record(fresh, seen, iv.keys.HasKey, now) }); err != nil {
		iv.o.Warn("names could not be recorded: " + err.Error())
	}
}

// after returns the names that hold once the sources seen have said fresh. A
// source takes a name away only by saying something else: that the VM is called
// otherwise, or that the name is another VM's. From a file that became empty,
// shorter or unreadable nothing follows while the VM's key is held: a restarting
// agent extension empties its file in the middle of an outage. What was taken
// away so is former from now on.
func (d namesDoc) after(fresh []namedVM, seen map[NameSource]bool, held func(id string) bool, now time.Time) (next []namedVM, former []formerName) {
	type claim struct {
		source   NameSource
		vm, name string // one of them, or both
	}
	said := make(map[claim]bool, 3*len(fresh))
	for _, n := range fresh {
		for _, c := range []claim{{n.Source, n.VMID, ""}, {n.Source, "", n.Name}, {n.Source, n.VMID, n.Name}} {
			said[c] = true
		}
	}
	next = slices.Clone(fresh)
	for _, n := range d.Recorded {
		contradicted := said[claim{n.Source, n.VMID, ""}] || said[claim{n.Source, "", n.Name}]
		if !seen[n.Source] || !contradicted && held(n.VMID) {
			next = append(next, n)
		} else if contradicted && !said[claim{n.Source, n.VMID, n.Name}] {
			former = append(former, n.former(now))
		}
	}
	return next, former
}

// record takes over what the sources seen say now, and tells whether that
// changed anything.
func (d *namesDoc) record(fresh []namedVM, seen map[NameSource]bool, held func(id string) bool, now time.Time) bool {
	next, former := d.after(fresh, seen, held, now)
	slices.SortFunc(next, func(a, b namedVM) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.VMID, b.VMID), cmp.Compare(a.Name, b.Name))
	})
	if slices.Equal(next, d.Recorded) {
		return false
	}
	d.Recorded = next
	d.addFormer(former)
	return true
}
