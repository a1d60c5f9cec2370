package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
)

func newDrillCommand(env *Env) *cobra.Command {
	var o drillOptions
	c := &cobra.Command{
		Use:   "drill [SELECTOR...]",
		Short: "Prove which VMs could be reached if the API died now",
		Long: `Logs in to every VM with what is recorded and every API call forbidden, and
answers one question: if the API died now, which VMs would I lose? Exit 0 only
if none. Paused VMs accept no SSH and count as lost, unless --ignore-paused
leaves them out. Interrupted, it gives no verdict.`,
		Example: `  vers-fleet drill
  vers-fleet drill --ignore-paused
  vers-fleet drill -o json --jq '.[] | select(.reachable | not)'`,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return runDrill(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	o.sel.register(env, c)
	c.Flags().BoolVar(&o.ignorePaused, "ignore-paused", false, "leave out VMs that are paused or asleep, for CI")
	return about(c, groupOutage, "works; that is its purpose", exitOK, exitNotFound, exitUnavailable, exitUnreachable)
}

type drillOptions struct {
	sel          selectFlags
	names        []string
	ignorePaused bool
}

func runDrill(ctx context.Context, env *Env, o drillOptions) error {
	if len(o.names) == 0 && !o.sel.given() {
		o.sel.all = true
	}
	sel, err := o.sel.selection(o.names)
	if err != nil {
		return err
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	w, done := env.Streams.NewWaiter(), 0
	results, drillErr := f.Drill(ctx, fleet.DrillOptions{Selection: sel, IgnorePaused: o.ignorePaused, OnDone: func(fleet.DrillResult) {
		done++
		w.Start(fmt.Sprintf("trying VMs without the API, %d done", done))
	}})
	w.Stop()
	if results == nil && drillErr != nil {
		return drillErr
	}
	if err := drillListing().Print(env.Streams, env.Format(), results); err != nil {
		return err
	}
	if drillErr == nil && len(results) > 0 {
		env.Streams.Notef("%s: each could be reached if the API died now", ui.Count(len(results), "VM"))
	}
	return drillErr
}

func drillListing() ui.Listing[fleet.DrillResult] {
	return ui.Listing[fleet.DrillResult]{
		Columns: []ui.Column[fleet.DrillResult]{
			{Header: "VM", Value: func(r fleet.DrillResult) string { return orID(r.Name, r.VMID) }},
			{Header: "REACHABLE", Value: func(r fleet.DrillResult) string {
				if r.OK {
					return "yes"
				}
				return "no"
			}, Style: func(r fleet.DrillResult) ui.Style {
				if r.OK {
					return ui.Good
				}
				return ui.Bad
			}},
			{Header: "TIME", Right: true, Value: func(r fleet.DrillResult) string {
				return (time.Duration(r.Duration*1000) * time.Millisecond).String()
			}},
			{Header: "WHY", Wraps: true, Sparse: true, Value: func(r fleet.DrillResult) string { return dash(r.Why) }},
			{Header: "FIX", Wraps: true, Sparse: true, Value: func(r fleet.DrillResult) string { return dash(r.Next) }},
		},
		Name:  func(r fleet.DrillResult) string { return orID(r.Name, r.VMID) },
		Empty: "no VM is recorded yet: run vers-fleet vms while the API is up",
	}
}
