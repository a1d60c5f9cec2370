package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
)

func newAliasCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "alias",
		Short:   "Names of your own for VMs",
		Long:    "Names of your own for VMs, by which they can be selected too. They win over\nlabels and over names from other tools.",
		Example: "  vers-fleet alias set images marketing\n  vers-fleet ssh images",
	}
	c.AddCommand(newAliasSetCommand(env), newAliasListCommand(env), newAliasRemoveCommand(env))
	return about(c, groupKeys, "works", exitOK, exitNotFound)
}

func newAliasSetCommand(env *Env) *cobra.Command {
	force := false
	c := &cobra.Command{
		Use: "set NAME VM", Short: "Give a VM a name",
		Long: `Gives a VM a name of your own, one more way to select it: folders and listings
keep the name that the VM has from elsewhere. An alias that exists already moves
to the new VM. One that would hide another VM's name is refused without --force.`,
		Example: "  vers-fleet alias set images c8f9cadc",
		Args:    argCount(2, 2),
		ValidArgsFunction: func(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return completeVMs(env, 0)(c, nil, word)
			}
			return completeAliases(env)(c, args, word)
		},
		RunE: func(c *cobra.Command, args []string) error {
			return runAliasSet(c.Context(), env, args[0], args[1], force)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "let it hide another VM's name")
	return about(c, "", "works for VMs that are recorded", exitOK, exitNotFound, exitUnavailable, exitStorage)
}

func runAliasSet(ctx context.Context, env *Env, name, selector string, force bool) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vm, err := f.Inventory.One(ctx, selector)
	if err != nil {
		return err
	}
	before, err := f.Inventory.SetAlias(ctx, name, vm, force)
	if err != nil {
		return err
	}
	if before != "" && before != vm.ID {
		env.Streams.Notef("%s named %s before", name, before)
	}
	env.Streams.Notef("%s is %s (%s)", name, vm.Title(), vm.ID)
	return changedAlias(env, inventory.Alias{Alias: name, VMID: vm.ID, Name: vm.Name})
}

// changedAlias answers a script with the alias that was set or removed.
func changedAlias(env *Env, a inventory.Alias) error {
	if env.Format().Table() {
		return nil
	}
	return aliasListing().Print(env.Streams, env.Format(), []inventory.Alias{a})
}

// completeAliases completes the first argument to the aliases there are.
func completeAliases(env *Env) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		f, err := recordedFleet(env)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := f.Inventory.Aliases()
		var out []cobra.Completion
		for _, a := range list {
			if strings.HasPrefix(a.Alias, word) {
				out = append(out, offer(a.Alias, a.VMID)...)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func newAliasListCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List your names",
		Long:    "Lists the names you gave. All names of all VMs: vers-fleet vms -o json",
		Example: "  vers-fleet alias list",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runAliasList(c.Context(), env) },
	}
	return about(c, "", "works", exitOK, exitStorage)
}

func runAliasList(ctx context.Context, env *Env) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	list, err := f.Inventory.Aliases()
	if err != nil {
		return err
	}
	known, _ := f.Inventory.Known() // names only help
	all := inventory.NewDirectory(known)
	for i := range list {
		if vm, ok := all.ByID(list[i].VMID); ok {
			list[i].Name = vm.Name
		}
	}
	return aliasListing().Print(env.Streams, env.Format(), list)
}

func aliasListing() ui.Listing[inventory.Alias] {
	return ui.Listing[inventory.Alias]{
		Columns: []ui.Column[inventory.Alias]{
			{Header: "ALIAS", Value: func(a inventory.Alias) string { return a.Alias }},
			{Header: "VM", Value: func(a inventory.Alias) string { return a.VMID }},
			{Header: "NAME", Wide: true, Value: func(a inventory.Alias) string { return dash(a.Name) }},
		},
		Name:  func(a inventory.Alias) string { return a.Alias },
		Empty: "no aliases",
	}
}

func newAliasRemoveCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "remove NAME", Short: "Take a name back",
		Long:              "Takes one of your names back. The VM itself is not touched.",
		Example:           "  vers-fleet alias remove images",
		Args:              argCount(1, 1),
		ValidArgsFunction: completeAliases(env),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := env.Fleet(c.Context())
			if err != nil {
				return err
			}
			id, err := f.Inventory.RemoveAlias(c.Context(), args[0])
			if err != nil {
				return err
			}
			return changedAlias(env, inventory.Alias{Alias: args[0], VMID: id})
		},
	}
	return about(c, "", "works", exitOK, exitNotFound, exitStorage)
}
