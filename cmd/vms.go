package cmd

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

type vmsOptions struct {
	sel    selectFlags
	names  []string
	noSync bool
	gone   bool
	probe  bool
	phase  bool
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
recorded (proved: a login has worked with it) and when a login last worked. A
live listing is recorded, and the keys of VMs that have none yet are fetched, so
that they are there before they are needed. Lieutenants that run on this machine
are shown below the list: they are no VMs. A name that can be taken for another
VM's, such as one with a letter of another alphabet, is marked with that name.`,
		Example: `  vers-fleet vms
  vers-fleet vms -l role=lieutenant -w
  vers-fleet vms --probe
  vers-fleet vms --phase
  vers-fleet vms --watch
  vers-fleet vms --jq '.[] | select(.key.saved | not) | .name'`,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return runVMs(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	o.sel.register(env, c)
	f := c.Flags()
	f.BoolVar(&o.noSync, "no-sync", false, "do not fetch the keys of VMs that have none yet")
	f.BoolFuncP("wide", "w", "with ids, endpoints and labels, as -o wide", func(v string) error {
		on, err := strconv.ParseBool(v)
		if on {
			env.flags.output = "wide"
		}
		return err
	})
	f.BoolVar(&o.probe, "probe", false, "try every VM over SSH, side by side, with what is recorded")
	f.BoolVar(&o.phase, "phase", false, "ask every VM over SSH, side by side, what its lieutenant does")
	f.BoolVar(&o.gone, "gone", false, "also VMs that the API no longer lists")
	f.StringArrayVar(&o.states, "state", nil, "only VMs in this `STATE`; repeat it for several")
	f.StringVar(&o.sort, "sort", "name", "sort by `FIELD`: "+strings.Join(vmSorts(), ", "))
	completeFlag(c, "state", vmStates())
	completeFlag(c, "sort", vmSorts())
	addWatchFlag(f, &o.watch, usualWatch, "show it again and again, until interrupted")
	return about(c, groupEveryday, "shows the last recorded inventory and says how old it is",
		exitOK, exitNotFound, exitAuth, exitUnavailable, exitStorage)
}

// listingGC is how much garbage a listing makes before it is collected, in per cent
// of what is in use: with thousands of VMs that is a fifth less memory than by the
// usual hundred, for hardly more time.
const listingGC = 25

func runVMs(ctx context.Context, env *Env, o vmsOptions) error {
	order, err := vmOrder(o.sort)
	if err != nil {
		return err
	}
	sel, err := o.sel.optional(o.names)
	if err != nil {
		return err
	}
	debug.SetGCPercent(listingGC)
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

func showVMs(ctx context.Context, env *Env, f *fleet.Fleet, o vmsOptions, sel inventory.Selection, order func(a, b inventory.VM) int) error {
	list, err := listVMs(ctx, env, f, o)
	if err != nil {
		return err
	}
	if !sel.Empty() {
		if list.VMs, err = list.Select(sel); err != nil {
			if meant := meantInterval(o.watch, o.names...); meant != nil && fleetKind(err) == problem.NotFound {
				return meant
			}
			if len(sel.Names) > 0 || fleetKind(err) != problem.NotFound {
				return err
			}
			list.VMs = nil // a filter that matches nothing is an answer
		}
	}
	if err := checkStates(o.states, list.VMs); err != nil {
		return err
	}
	if len(o.states) > 0 {
		list.VMs = slices.DeleteFunc(list.VMs, func(v inventory.VM) bool { return !slices.Contains(o.states, v.State) })
	}
	if o.probe {
		w := env.Streams.NewWaiter()
		err := f.Probe(ctx, list.VMs, func(p keys.Progress) { w.Start(fmt.Sprintf("trying VMs over SSH, %d of %d done", p.Done, p.Total)) })
		w.Stop()
		if err != nil {
			return err
		}
	}
	if o.phase {
		w := env.Streams.NewWaiter()
		f.Output.Phases(ctx, list.VMs, func(done int) { w.Start(fmt.Sprintf("asked %d of %d VMs over SSH", done, len(list.VMs))) })
		w.Stop()
	}
	slices.SortStableFunc(list.VMs, order)
	reportListing(env, f, list)
	if err := vmListing(o.probe, o.phase).Print(env.Streams, env.Format(), list.VMs); err != nil {
		return err
	}
	if locals := f.Inventory.Locals(); sel.Empty() && len(locals) > 0 && env.Format().Table() {
		env.Streams.Notef("local lieutenants, on this machine and on no VM: %s", localsLine(locals))
	}
	return list.Unsaved
}

// localsLine is "scribe (idle, 2 hours ago), painter".
func localsLine(locals []inventory.LocalLieutenant) string {
	var out []string
	for _, l := range locals {
		var about []string
		if l.State != "" {
			about = append(about, l.State)
		}
		if !l.ActiveAt.IsZero() {
			about = append(about, ui.Ago(l.ActiveAt, time.Now()))
		}
		if len(about) > 0 {
			l.Name += " (" + strings.Join(about, ", ") + ")"
		}
		out = append(out, l.Name)
	}
	return strings.Join(out, ", ")
}

// reportListing tells on stderr what the rows do not: age, outage, warnings.
func reportListing(env *Env, f *fleet.Fleet, list inventory.Listing) {
	if list.Source == outage.FromCache {
		reportCached(env, f, list.AsOf, list.Outage)
	}
	for _, w := range f.API.Warnings() {
		env.Streams.Warnf("%s", w.Text)
	}
	if list.KeysLeft() > 0 {
		env.Streams.Warnf("no key is recorded for %s, which could not be reached in an outage: vers-fleet keys sync", ui.Count(list.KeysLeft(), "VM"))
	}
}

// reportCached tells that the cache answered, how old it is, and why.
func reportCached(env *Env, f *fleet.Fleet, asOf time.Time, silence *problem.Error) {
	what := "nothing was ever listed here; this is what else is recorded"
	if !asOf.IsZero() {
		what = "cached list from " + problem.Clock(asOf) + " (" + ui.Old(asOf, time.Now()) + ")"
	}
	switch {
	case silence == nil:
	case silence.Kind == problem.Auth: // nothing was asked
		what += "; " + silence.Error()
	default:
		if f.API.Down() {
			what = "API down; " + what
		}
		what += "; " + silence.Why
	}
	env.Streams.Notef("%s", what)
}

// reportKeys tells how fetching keys ended.
func reportKeys(env *Env, r keys.SyncReport) {
	if r.Fetched > 0 {
		env.Streams.Notef("recorded the SSH keys of %s", ui.Count(r.Fetched, "VM"))
	}
	for _, f := range r.Failed {
		env.Streams.Debugf("no key for %s: %s", f.VMID, f.Why)
	}
}

// vmStates are the states there are (docs/platform.md), and unknown for a VM of
// which only the key is recorded.
func vmStates() []string {
	return []string{"booting", "running", "paused", "sleeping", "dead", "unknown"}
}

// checkStates refuses a mistyped state; one that the API has invented since is
// none.
func checkStates(wanted []string, vms []inventory.VM) error {
	for _, s := range wanted {
		if !slices.Contains(vmStates(), s) && !slices.ContainsFunc(vms, func(v inventory.VM) bool { return v.State == s }) {
			return usageError(fmt.Sprintf("--state cannot be %q", safe.Clean(s)), "", "use "+strings.Join(vmStates(), ", "))
		}
	}
	return nil
}

func vmSorts() []string { return []string{"name", "state", "age", "key", "reach"} }

func vmOrder(by string) (func(a, b inventory.VM) int, error) {
	switch by {
	case "name":
		return func(_, _ inventory.VM) int { return 0 }, nil // List sorts by name
	case "state":
		return func(a, b inventory.VM) int { return strings.Compare(a.State, b.State) }, nil
	case "age":
		return func(a, b inventory.VM) int { return a.CreatedAt.Compare(b.CreatedAt) }, nil
	case "key":
		return func(a, b inventory.VM) int { return a.Key.FetchedAt.Compare(b.Key.FetchedAt) }, nil
	case "reach":
		return func(a, b inventory.VM) int { return b.ReachedAt.Compare(a.ReachedAt) }, nil
	}
	return nil, usageError(fmt.Sprintf("--sort cannot be %q", safe.Clean(by)), "", "use "+strings.Join(vmSorts(), ", "))
}

// listVMs lists the fleet and, unless told not to, fetches the keys of new VMs.
func listVMs(ctx context.Context, env *Env, f *fleet.Fleet, o vmsOptions) (inventory.Listing, error) {
	ask := inventory.ListOptions{Gone: o.gone}
	if o.noSync {
		return f.Inventory.List(ctx, ask)
	}
	return f.List(ctx, fleet.ListOptions{ListOptions: ask, OnKeys: func(r keys.SyncReport) { reportKeys(env, r) }})
}
