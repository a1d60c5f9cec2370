package cmd

import (
	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// completeFlags makes the shared flags complete: formats, and profiles of the
// configuration file. It never asks the API.
func completeFlags(env *Env, root *cobra.Command) {
	register := func(flag string, fn cobra.CompletionFunc) {
		if err := root.RegisterFlagCompletionFunc(flag, fn); err != nil {
			panic(err) // the flag does not exist: a mistake in this file
		}
	}
	register("output", cobra.FixedCompletions(ui.FormatNames(), cobra.ShellCompDirectiveNoFileComp))
	register("profile", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		l, err := loadLayers(env, func(string) {})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return append(l.file.profileNames(), "default"), cobra.ShellCompDirectiveNoFileComp
	})
	for _, name := range []string{"api-url", "jq", "template", "timeout"} {
		register(name, cobra.NoFileCompletions)
	}
}
