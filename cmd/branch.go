package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
)

func newBranchCommand(env *Env) *cobra.Command {
	var o lifecycle.BranchRequest
	c := &cobra.Command{
		Use:   "branch VM",
		Short: "Make new VMs that start as copies of one",
		Long: `Makes new VMs that start as copies of the VM as it is now. They get their names
at once, and their keys are recorded. The request is never repeated once it may
have reached the API; when its answer is lost, the fleet is compared with what
it was before and the difference named.`,
		Example: `  vers-fleet branch chad-dev --name chad-next
  vers-fleet branch chad-dev --count 3 --name try -o name`,
		Args: argCount(1, 1),
	}
	c.RunE = func(c *cobra.Command, args []string) error { return runBranch(c.Context(), env, args[0], o) }
	c.ValidArgsFunction = completeVMs(env, 1)
	registerMaking(c, &o.Count, &o.Name)
	return about(c, groupEveryday, "cannot work, exit 5", exitOK, exitNotFound, exitAuth, exitUnavailable)
}

// registerMaking adds the flags of what makes new VMs.
func registerMaking(c *cobra.Command, count *int, name *string) {
	c.Flags().IntVar(count, "count", 1, "make `N` VMs")
	c.Flags().StringVar(name, "name", "", "call the new VM `NAME`, or with --count NAME-1 and so on")
}

// branched is one new VM.
type branched struct {
	lifecycle.Made
	Parent string `json:"parent_vm_id"`
}

func runBranch(ctx context.Context, env *Env, name string, o lifecycle.BranchRequest) error {
	if o.Count < 1 || o.Count > lifecycle.MaxCount {
		return usageError("--count must be from 1 to 100", "", "")
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vm, made, err := f.Lifecycle.Branch(ctx, name, o)
	if err != nil {
		return err
	}
	list := make([]branched, len(made))
	for i, m := range made {
		list[i] = branched{Made: m, Parent: vm.ID}
	}
	return ui.Listing[branched]{
		Columns: []ui.Column[branched]{
			{Header: "VM", Value: func(b branched) string { return b.VMID }},
			{Header: "PARENT", Value: func(b branched) string { return b.Parent }},
			{Header: "NAME", Sparse: true, Value: func(b branched) string { return dash(b.Name) }},
		},
		Name: func(b branched) string { return b.VMID },
	}.Print(env.Streams, env.Format(), list)
}
