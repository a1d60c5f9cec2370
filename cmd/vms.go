package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
)

type vmsOptions struct {
	sel    selectFlags
	names  []string
	noSync bool
	gone   bool
	probe  bool
	states []string
	sort   string
	watch  time.Duration
}

func newVMsCommand(env *Env) *cobra.Command {
	var o vmsOptions
	c := &cobra.Command{
		Use:     "vms [SELECTOR...]",
		Aliases: []string{"ls", "list"},
		Short:   "List the fleet and record it, with the keys, for an outage",
		Long: `Lists the VMs with what is known of each: state, role, whether its SSH key is
recorded and when a login last worked. A live listing is recorded, and the keys
of VMs that have none yet are fetched, so that they are there before they are
needed.`,
		Example: `  vers-fleet vms
  vers-fleet vms -l role=lieutenant -o wide
  vers-fleet vms --probe
  vers-fleet vms --watch
  vers-fleet vms --jq '.[] | select(.key.recorded | not) | .name'`,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return runVMs(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	o.sel.register(c.Flags())
	f := c.Flags()
	f.BoolVar(&o.noSync, "no-sync", false, "do not fetch the keys of VMs that have none yet")
	f.BoolVar(&o.probe, "probe", false, "try every VM over SSH, side by side, with what is recorded")
	f.BoolVar(&o.gone, "gone", false, "also VMs that the API no longer lists")
	f.StringArrayVar(&o.states, "state", nil, "only VMs in this `STATE`; repeat it for several")
	f.StringVar(&o.sort, "sort", "name", "sort by `FIELD`: name, state, age, key or reach")
	addWatchFlag(f, &o.watch, usualWatch, "show it again and again, until interrupted")
	return about(c, groupEveryday, "shows the last recorded inventory and says how old it is",
		exitOK, exitNotFound, exitAuth, exitUnavailable, exitStorage)
}

func runVMs(ctx context.Context, env *Env, o vmsOptions) error {
	order, err := vmOrder(o.sort)
	if err != nil {
		return err
	}
	sel, err := o.sel.optional(o.names)
	if err != nil {
		return err
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	if o.watch > 0 {
		return watch(ctx, env, o.watch, func(ctx context.Context) error { return showVMs(ctx, env, f, o, sel, order) })
	}
	return showVMs(ctx, env, f, o, sel, order)
}

func showVMs(ctx context.Context, env *Env, f *fleet.Fleet, o vmsOptions, sel fleet.Selection, order func(a, b fleet.VM) int) error {
	list, err := f.List(ctx, fleet.ListOptions{NoSync: o.noSync, Gone: o.gone, OnKeys: func(r fleet.SyncReport) { sayKeys(env, r) }})
	if err != nil {
		return err
	}
	if !sel.Empty() {
		if list.VMs, err = list.Select(sel); err != nil {
			return err
		}
	}
	if len(o.states) > 0 {
		list.VMs = slices.DeleteFunc(list.VMs, func(v fleet.VM) bool { return !slices.Contains(o.states, v.State) })
	}
	if o.probe {
		w := env.Streams.NewWaiter()
		f.Probe(ctx, list.VMs, func(p fleet.Progress) { w.Update(fmt.Sprintf("tried %d of %d VMs over SSH", p.Done, p.Total)) })
		w.Stop()
	}
	slices.SortStableFunc(list.VMs, order)
	sayListing(env, f, list)
	if err := vmListing(o.probe).Print(env.Streams, env.Format(), list.VMs); err != nil {
		return err
	}
	return list.Unsaved
}

// sayListing tells on stderr what the rows do not: age, outage, warnings.
func sayListing(env *Env, f *fleet.Fleet, list fleet.Listing) {
	if list.Source == fleet.FromCache {
		sayCached(env, list.AsOf, list.Outage)
	}
	for _, w := range f.Warnings() {
		env.Streams.Warnf("%s", w.Text)
	}
	if list.KeysLeft > 0 {
		env.Streams.Warnf("no key is recorded for %s, which could not be reached in an outage: vers-fleet keys sync", ui.Count(list.KeysLeft, "VM"))
	}
}

// sayCached tells that the record answered, how old it is, and why.
func sayCached(env *Env, asOf time.Time, outage *fleet.Error) {
	age := "of unknown age"
	if !asOf.IsZero() {
		age = "as of " + ui.Absolute(asOf) + " (" + ui.Ago(asOf, time.Now()) + ")"
	}
	if outage != nil {
		env.Streams.Notef("showing what is recorded, %s: %s", age, outage.Why)
		return
	}
	env.Streams.Notef("showing what is recorded, %s", age)
}

// sayKeys tells how fetching keys ended.
func sayKeys(env *Env, r fleet.SyncReport) {
	if r.Fetched > 0 {
		env.Streams.Notef("recorded the SSH keys of %s", ui.Count(r.Fetched, "VM"))
	}
	for _, f := range r.Failed {
		env.Streams.Debugf("no key for %s: %s", f.VMID, f.Why)
	}
}

func vmOrder(by string) (func(a, b fleet.VM) int, error) {
	switch by {
	case "name":
		return func(a, b fleet.VM) int { return 0 }, nil // List sorts by name
	case "state":
		return func(a, b fleet.VM) int { return strings.Compare(a.State, b.State) }, nil
	case "age":
		return func(a, b fleet.VM) int { return a.CreatedAt.Compare(b.CreatedAt) }, nil
	case "key":
		return func(a, b fleet.VM) int { return a.Key.FetchedAt.Compare(b.Key.FetchedAt) }, nil
	case "reach":
		return func(a, b fleet.VM) int { return b.ReachedAt.Compare(a.ReachedAt) }, nil
	}
	return nil, usageError(fmt.Sprintf("--sort cannot be %q", ui.Clean(by)), "", "use name, state, age, key or reach")
}

// vmListing declares the columns of a list of VMs.
func vmListing(probed bool) ui.Listing[fleet.VM] {
	l := ui.Listing[fleet.VM]{
		Columns: []ui.Column[fleet.VM]{
			{Header: "NAME", Value: fleet.VM.Title, Style: func(fleet.VM) ui.Style { return ui.Strong }},
			{Header: "ROLE", Value: func(v fleet.VM) string { return dash(v.Role) }},
			{Header: "STATE", Value: stateText, Style: stateStyle},
			{Header: "AGE", Time: func(v fleet.VM) time.Time { return v.CreatedAt }},
			{Header: "KEY", Value: keyText, Style: keyStyle},
			{Header: "REACHED", Time: func(v fleet.VM) time.Time { return v.ReachedAt }},
			{Header: "ID", Wide: true, Value: func(v fleet.VM) string { return v.ID }},
			{Header: "ENDPOINT", Wide: true, Value: func(v fleet.VM) string { return v.Endpoint }},
			{Header: "LABELS", Wide: true, Value: labelText},
		},
		Name:  fleet.VM.Title,
		Empty: "no VMs",
	}
	if probed {
		l.Columns = slices.Insert(l.Columns, 5, ui.Column[fleet.VM]{Header: "SSH", Value: probeText, Style: probeStyle})
	}
	return l
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stateText(v fleet.VM) string {
	if !v.GoneAt.IsZero() {
		return "gone"
	}
	return dash(v.State)
}

func stateStyle(v fleet.VM) ui.Style {
	switch stateText(v) {
	case "running":
		return ui.Good
	case "dead", "gone":
		return ui.Bad
	}
	return ui.Faint
}

// keyText says whether the key is there and whether it ever worked.
func keyText(v fleet.VM) string {
	switch {
	case v.Key.Problem != "":
		return "damaged"
	case !v.Key.Recorded:
		return "missing"
	case v.Key.RefusedAt.After(v.Key.ProvedAt):
		return "refused"
	case v.Key.ProvedAt.IsZero():
		return "recorded"
	}
	return "proved"
}

func keyStyle(v fleet.VM) ui.Style {
	switch keyText(v) {
	case "proved":
		return ui.Good
	case "recorded":
		return ui.Normal
	}
	return ui.Bad
}

func labelText(v fleet.VM) string {
	var pairs []string
	for k, val := range v.Labels {
		pairs = append(pairs, k+"="+val)
	}
	slices.Sort(pairs)
	return dash(strings.Join(pairs, ","))
}

func probeText(v fleet.VM) string {
	switch {
	case v.Reachable == nil:
		return "-"
	case *v.Reachable:
		return "ok"
	}
	return "no: " + v.ProbeError
}

func probeStyle(v fleet.VM) ui.Style {
	if v.Reachable != nil && *v.Reachable {
		return ui.Good
	}
	return ui.Bad
}
