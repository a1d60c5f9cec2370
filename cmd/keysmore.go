package cmd

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
)

type keysCheckOptions struct{ probe bool }

func newKeysCheckCommand(env *Env) *cobra.Command {
	var o keysCheckOptions
	c := &cobra.Command{
		Use: "check", Short: "Check that everything recorded is sound",
		Long: `Reads every key and record: damaged files are set aside and reported, unsafe
permissions named with the command that mends them. --probe logs in to every VM
too and says which keys really work.`,
		Example: "  vers-fleet keys check\n  vers-fleet keys check --probe",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runKeysCheck(c.Context(), env, o) },
	}
	c.Flags().BoolVar(&o.probe, "probe", false, "log in to every VM, side by side")
	return about(c, "", "works", exitOK, exitUnreachable, exitStorage)
}

func runKeysCheck(ctx context.Context, env *Env, o keysCheckOptions) error {
	if o.probe {
		return runDrill(ctx, env, drillOptions{sel: selectFlags{all: true}})
	}
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	findings, checkErr := f.Keys.Check()
	if findings == nil && checkErr != nil {
		return checkErr
	}
	if err := findingListing().Print(env.Streams, env.Format(), findings); err != nil {
		return err
	}
	return checkErr
}

func findingListing() ui.Listing[keys.Finding] {
	return ui.Listing[keys.Finding]{
		Columns: []ui.Column[keys.Finding]{
			{Header: "SEVERITY", Value: func(x keys.Finding) string { return string(x.Severity) }, Style: func(x keys.Finding) ui.Style {
				if x.Severity == keys.SeverityError {
					return ui.Bad
				}
				return ui.Normal
			}},
			{Header: "VM", Value: func(x keys.Finding) string { return dash(orID(x.Name, x.VMID)) }},
			{Header: "WHAT", Wraps: true, Value: func(x keys.Finding) string { return x.What }},
			{Header: "FIX", Wraps: true, Value: func(x keys.Finding) string { return dash(x.Next) }},
		},
		Name:  func(x keys.Finding) string { return orID(x.Name, x.VMID) },
		Empty: "everything recorded is sound",
	}
}

func newKeysRemoveCommand(env *Env) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "remove VM...", Short: "Forget VMs, their keys included",
		Long:              "Forgets everything recorded about VMs, their keys included. It asks first; --yes\nanswers for scripts. The VMs themselves are not touched.",
		Example:           "  vers-fleet keys remove old-worker",
		Args:              argCount(1, -1),
		ValidArgsFunction: completeVMs(env, 0),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := env.Fleet(c.Context())
			if err != nil {
				return err
			}
			removed, err := f.Keys.Remove(args, yes)
			reportRemoved(env, removed)
			return err
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return about(c, "", "works", exitOK, exitNotFound, exitStorage)
}

func newKeysPruneCommand(env *Env) *cobra.Command {
	var yes bool
	var age time.Duration
	c := &cobra.Command{
		Use: "prune", Short: "Forget VMs that are gone for long",
		Long: `Forgets VMs that the API, in a sound answer, has not listed for longer than
--older-than. It asks first; --yes answers for scripts.`,
		Example: "  vers-fleet keys prune --older-than 720h",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if age <= 0 {
				return usageError("keys prune needs --older-than", "", "for example: --older-than 720h")
			}
			f, err := env.Fleet(c.Context())
			if err != nil {
				return err
			}
			removed, err := f.Keys.Prune(age, yes)
			reportRemoved(env, removed)
			return err
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().DurationVar(&age, "older-than", 0, "`DURATION` for which they must have been gone")
	return about(c, "", "works", exitOK, exitStorage)
}

func reportRemoved(env *Env, ids []string) {
	for _, id := range ids {
		env.Streams.Notef("forgot %s", id)
	}
}
