package inventory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Selection says which VMs a command is about: all of them, those whose labels
// match, or those named. Exactly one of the three is used; an empty Selection
// selects nothing.
type Selection struct {
	All    bool
	Labels map[string]string // every pair must match
	Names  []string          // names, full ids or unique prefixes of an id
}

// String names the selection as a sentence does: "marketing", "VMs with
// role=worker", "all VMs".
func (s Selection) String() string {
	switch {
	case len(s.Names) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(s.Names[:2], ", "), len(s.Names)-2)
	case len(s.Names) > 0:
		return strings.Join(s.Names, ", ")
	case len(s.Labels) > 0:
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
			pairs = append(pairs, k+"="+s.Labels[k])
		}
		return "VMs with " + strings.Join(pairs, " and ")
	}
	return "all VMs"
}

// Empty reports whether nothing was asked for.
func (s Selection) Empty() bool { return !s.All && len(s.Labels) == 0 && len(s.Names) == 0 }

// MinPrefix is the shortest prefix of an id that selects a VM: four hex digits,
// so that a typed name is seldom taken for one.
const MinPrefix = 4

// Choose returns the VMs of the listing that the selection means, in the
// listing's order for All and Labels and in the order given for Names, each
// once. It never guesses: a name that fits none or several is an error that
// lists the candidates.
func Choose(vms []VM, s Selection) ([]VM, error) {
	if len(s.Names) > 0 && (s.All || len(s.Labels) > 0) {
		return nil, &problem.Error{Kind: problem.Usage, What: "cannot tell which VMs are meant", Origin: problem.OriginLocal,
			Why: "names were given together with --all or -l", Next: "use one of the two"}
	}
	if len(s.Names) == 0 {
		return chooseByLabel(vms, s)
	}
	seen := map[string]bool{}
	all := NewDirectory(vms)
	var out []VM
	for _, name := range s.Names {
		vm, err := all.Pick(name)
		if err != nil {
			return nil, err
		}
		if !seen[vm.ID] {
			seen[vm.ID], out = true, append(out, vm)
		}
	}
	return out, nil
}

func chooseByLabel(vms []VM, s Selection) ([]VM, error) {
	var out []VM
	for _, vm := range vms {
		if vm.GoneAt.IsZero() && hasLabels(vm, s.Labels) && (s.All || len(s.Labels) > 0) {
			out = append(out, vm)
		}
	}
	if len(out) == 0 {
		return nil, &problem.Error{Kind: problem.NotFound, What: "no VM is selected", Origin: problem.OriginLocal,
			Why: "no known VM matches", Next: "see what there is with: vers-fleet vms -o wide"}
	}
	return out, nil
}

// hasLabels compares with the VM's labels; role and name are also matched
// against what is known from other sources, so that -l role=lieutenant works
// for VMs without labels.
func hasLabels(vm VM, want map[string]string) bool {
	for k, v := range want {
		got, ok := vm.Labels[k]
		if !ok && k == "role" {
			got, ok = vm.Role, vm.Role != ""
		}
		if !ok && k == "name" {
			got, ok = vm.Name, vm.Name != ""
		}
		if !ok || got != v {
			return false
		}
	}
	return true
}

// Pick finds the one VM that word means. The order is: full id, alias, any
// other name, prefix of an id. A name that other people give (a label, a file)
// never hides an id prefix: where both fit different VMs, neither is taken.
func (d *Directory) Pick(word string) (VM, error) {
	if vm, ok := d.ByID(strings.ToLower(word)); ok {
		return vm, nil
	}
	byPrefix := living(d.withPrefix(strings.ToLower(word)))
	for _, from := range nameSources() {
		found := living(d.named(word, from))
		switch {
		case len(found) == 0:
			continue
		case len(found) > 1:
			return VM{}, ambiguous(word, found)
		case from != SourceAlias && anyOther(byPrefix, found[0]):
			return VM{}, ambiguous(word, append(found, byPrefix...))
		}
		return found[0], nil
	}
	switch len(byPrefix) {
	case 0:
		return VM{}, unknown(d.vms, word)
	case 1:
		return byPrefix[0], nil
	}
	return VM{}, ambiguous(word, byPrefix)
}

// living leaves out VMs that are gone, unless all are.
func living(vms []VM) []VM {
	alive := slices.DeleteFunc(slices.Clone(vms), func(v VM) bool { return !v.GoneAt.IsZero() })
	if len(alive) > 0 {
		return alive
	}
	return vms
}

func anyOther(vms []VM, than VM) bool {
	return slices.ContainsFunc(vms, func(v VM) bool { return v.ID != than.ID })
}

func ambiguous(word string, found []VM) error {
	var list []string
	for _, vm := range found {
		if line := vm.ID + " (" + vm.Title() + ")"; !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	return &problem.Error{Kind: problem.Ambiguous, What: fmt.Sprintf("%q could be several VMs", word), Origin: problem.OriginLocal,
		Why: strings.Join(list, ", "), Next: "give the full id, or more of it"}
}

func unknown(vms []VM, word string) error {
	if err := renamed(vms, word); err != nil {
		return err
	}
	e := &problem.Error{Kind: problem.NotFound, What: fmt.Sprintf("no VM is called %q", word), Origin: problem.OriginLocal,
		Next: "see what there is with: vers-fleet vms"}
	var names []string
	for _, vm := range vms {
		for _, n := range vm.Names {
			names = append(names, n.Name)
		}
	}
	if strings.Contains(word, "/") {
		e.Next = "a path on a VM is written VM:PATH; see the VMs with: vers-fleet vms"
	}
	e.Why = fmt.Sprintf("none of the %d known VMs has that name or id", len(vms))
	if len(vms) == 0 {
		e.Why = "no VM is known yet"
	}
	if near := problem.Nearest(word, names, 3); len(near) > 0 {
		e.Next = "did you mean: " + strings.Join(near, ", ")
	}
	return e
}

// Resolve returns the VMs a selection means, from the cache when it knows
// them all and else from the API. Use ResolveLive for what changes a VM.
func (iv *Inventory) Resolve(ctx context.Context, s Selection) ([]VM, error) {
	var ask ListOptions
	if !s.All && len(s.Labels) == 0 && iv.api.CacheFirst(outage.AsAsked) {
		known, err := iv.Known()
		if err != nil {
			return nil, err
		}
		vms, err := Choose(known, s)
		if problem.KindOf(err) == problem.Ambiguous { // perhaps with VMs that are gone, which only the records tell
			if err := iv.ReadRecords(known); err != nil {
				return nil, err
			}
			vms, err = Choose(known, s)
		}
		if err == nil || problem.KindOf(err) == problem.Ambiguous {
			return vms, err
		}
		ask.Urgency, ask.What = outage.Now, "find "+s.String() // nothing recorded knows the name
	}
	return iv.resolveLive(ctx, ask, s)
}

// ResolveLive is Resolve that asks the API first, as the cache may be behind:
// a name may have moved to another VM. verb is what is to be done with the VMs:
// "pause"; an error says that this cannot be done, not how it began.
func (iv *Inventory) ResolveLive(ctx context.Context, m outage.Mode, verb string, s Selection) ([]VM, error) {
	return iv.resolveLive(ctx, ListOptions{Mode: m, What: verb + " " + s.String()}, s)
}

func (iv *Inventory) resolveLive(ctx context.Context, o ListOptions, s Selection) ([]VM, error) {
	list, err := iv.List(ctx, o)
	if err != nil {
		return nil, err
	}
	vms, err := Choose(list.VMs, s)
	if problem.KindOf(err) == problem.NotFound {
		if local := iv.notVM(list.VMs, s.Names); local != nil {
			return nil, local
		}
	}
	return vms, maybeNewer(err, list)
}

// maybeNewer makes an unknown name a matter of the API's outage when only the
// cache could be asked: the VM may be newer than the cache.
func maybeNewer(err error, list Listing) error {
	var e *problem.Error
	if list.Outage == nil || !errors.As(err, &e) || e.Kind != problem.NotFound {
		return err
	}
	unknown := *e
	unknown.Kind, unknown.Origin, unknown.Retryable = problem.Unavailable, problem.OriginAPI, true
	unknown.Why += "; it was never seen from here, and the API cannot be asked: " + list.Outage.Why
	return &unknown
}

// One resolves a single name, id or prefix.
func (iv *Inventory) One(ctx context.Context, name string) (VM, error) {
	vms, err := iv.Resolve(ctx, Selection{Names: []string{name}})
	if err != nil {
		return VM{}, err
	}
	return vms[0], nil
}

// OneKnown is One that asks the cache only.
func (iv *Inventory) OneKnown(word string) (VM, error) {
	known, err := iv.Known()
	if err != nil {
		return VM{}, err
	}
	return NewDirectory(known).Pick(word)
}

// Knows reports whether word selects one or more recorded VMs.
func (iv *Inventory) Knows(word string) bool {
	_, err := iv.OneKnown(word)
	return err == nil || problem.KindOf(err) == problem.Ambiguous
}
