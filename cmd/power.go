package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
)

func newPauseCommand(env *Env) *cobra.Command {
	c := newPowerCommand(env, "pause", "Pause VMs", `Pauses VMs, keeping their memory. A paused VM accepts no SSH. Asking twice is
harmless, and the result is read back from the API.`, (*lifecycle.Lifecycle).Pause)
	return about(c, groupEveryday, "cannot work, exit 5", exitOK, exitNotFound, exitAuth, exitUnavailable, exitPartial)
}

func newResumeCommand(env *Env) *cobra.Command {
	c := newPowerCommand(env, "resume", "Let paused VMs run on", `Lets paused VMs run on. Asking twice is harmless, and the result is read back
from the API.`, (*lifecycle.Lifecycle).Resume)
	return about(c, groupEveryday, "cannot work, exit 5", exitOK, exitNotFound, exitAuth, exitUnavailable, exitPartial)
}

func newPowerCommand(env *Env, verb, short, long string, do func(*lifecycle.Lifecycle, context.Context, inventory.Selection) ([]lifecycle.StateChange, error)) *cobra.Command {
	var sel selectFlags
	c := &cobra.Command{
		Use: verb + " SELECTOR...", Short: short, Long: long,
		Example: "  vers-fleet " + verb + " marketing\n  vers-fleet " + verb + " -l role=worker",
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := sel.selection(args)
		if err != nil {
			return err
		}
		ctx, stop := env.WithTimeout(c.Context())
		defer stop()
		f, err := env.Fleet(ctx)
		if err != nil {
			return err
		}
		changes, doErr := do(f.Lifecycle, ctx, s)
		if len(changes) == 0 {
			return doErr
		}
		if err := stateListing().Print(env.Streams, env.Format(), changes); err != nil {
			return err
		}
		return doErr
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	sel.register(env, c)
	return c
}

func stateListing() ui.Listing[lifecycle.StateChange] {
	return ui.Listing[lifecycle.StateChange]{
		Columns: []ui.Column[lifecycle.StateChange]{
			{Header: "VM", Value: func(s lifecycle.StateChange) string { return orID(s.VMName, s.VMID) }},
			{Header: "STATE", Value: func(s lifecycle.StateChange) string { return s.State }},
			{Header: "ERROR", Wraps: true, Sparse: true, Value: func(s lifecycle.StateChange) string { return dash(s.Error) }},
		},
		Name: func(s lifecycle.StateChange) string { return orID(s.VMName, s.VMID) },
	}
}
