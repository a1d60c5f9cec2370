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
	var sel selectFlags
	c := &cobra.Command{
		Use:   "drill [SELECTOR...]",
		Short: "Prove which VMs could be reached if the API died now",
		Long: `Logs in to every VM with what is recorded and every API call forbidden, and
answers one question: if the API died now, which VMs would I lose? Exit 0 only
if none.`,
		Example: `  vers-fleet drill
  vers-fleet drill -o json --jq '.[] | select(.reachable | not)'`,
		RunE: func(c *cobra.Command, args []string) error { return runDrill(c.Context(), env, sel, args) },
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	sel.register(c.Flags())
	return about(c, groupOutage, "works; that is its purpose", exitOK, exitNotFound, exitUnavailable, exitUnreachable)
}

func runDrill(ctx context.Context, env *Env, flags selectFlags, names []string) error {
	if len(names) == 0 && !flags.given() {
		flags.all = true
	}
	sel, err := flags.selection(names)
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
	results, drillErr := f.Drill(ctx, sel, func(fleet.DrillResult) {
		done++
		w.Start(fmt.Sprintf("tried %d VMs without the API", done))
	})
	w.Stop()
	if results == nil && drillErr != nil {
		return drillErr
	}
	if err := drillListing().Print(env.Streams, env.Format(), results); err != nil {
		return err
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
			{Header: "WHY", Sparse: true, Value: func(r fleet.DrillResult) string { return dash(r.Why) }},
		},
		Name:  func(r fleet.DrillResult) string { return orID(r.Name, r.VMID) },
		Empty: "no VM is recorded yet: run vers-fleet vms while the API is up",
	}
}
