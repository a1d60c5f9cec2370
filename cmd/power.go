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

func newBranchCommand(env *Env) *cobra.Command {
	count := 1
	c := &cobra.Command{
		Use:   "branch VM",
		Short: "Make new VMs that start as copies of one",
		Long: `Makes new VMs that start as copies of the VM as it is now. The request is never
repeated once it may have reached the API; when its answer is lost, the fleet
is compared with what it was before and the difference named.`,
		Example: `  vers-fleet branch chad-dev
  vers-fleet branch chad-dev --count 3 -o name`,
		Args: argCount(1, 1),
	}
	c.RunE = func(c *cobra.Command, args []string) error { return runBranch(c.Context(), env, args[0], count) }
	c.ValidArgsFunction = completeVMs(env, 1)
	c.Flags().IntVar(&count, "count", 1, "make `N` copies")
	return about(c, groupEveryday, "cannot work, exit 5", exitOK, exitNotFound, exitAuth, exitUnavailable)
}

// branched is one new VM.
type branched struct {
	VMID   string `json:"vm_id"`
	Parent string `json:"parent_vm_id"`
}

func runBranch(ctx context.Context, env *Env, name string, count int) error {
	if count < 1 || count > 100 {
		return usageError("--count must be from 1 to 100", "", "")
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vm, ids, err := f.Lifecycle.Branch(ctx, name, count)
	if err != nil {
		return err
	}
	list := make([]branched, len(ids))
	for i, id := range ids {
		list[i] = branched{VMID: id, Parent: vm.ID}
	}
	return ui.Listing[branched]{
		Columns: []ui.Column[branched]{
			{Header: "VM", Value: func(b branched) string { return b.VMID }},
			{Header: "PARENT", Value: func(b branched) string { return b.Parent }},
		},
		Name: func(b branched) string { return b.VMID },
	}.Print(env.Streams, env.Format(), list)
}
