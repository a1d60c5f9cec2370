package cmd

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// completeHelp completes commands and, unlike cobra's own, the topics.
func completeHelp(help *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, rest, err := help.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, sub := range c.Commands() {
		if (sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand()) && strings.HasPrefix(sub.Name(), word) {
			out = append(out, cobra.CompletionWithDesc(sub.Name(), sub.Short))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeFlags makes the shared flags complete: formats, and profiles of the
// configuration file. It never asks the API.
func completeFlags(env *Env, root *cobra.Command) {
	register := func(flag string, fn cobra.CompletionFunc) { registerCompletion(root, flag, fn) }
	completeFlag(root, "output", ui.FormatNames())
	register("profile", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		src := env.source()
		src.Warn = nil
		s, err := settings.Load(src)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		for _, name := range append(s.Profiles(), "default") {
			out = append(out, offer(name, "")...)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
	for _, name := range []string{"api-url", "jq", "template", "timeout"} {
		register(name, cobra.NoFileCompletions)
	}
}

// plainUsages takes from the flags' descriptions the backticks around the value's
// name, which only help texts know to read.
func plainUsages(c *cobra.Command) {
	plain := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	c.Flags().VisitAll(plain)
	c.PersistentFlags().VisitAll(plain)
	for _, sub := range c.Commands() {
		plainUsages(sub)
	}
}

// completeFlag makes a flag complete to fixed values.
func completeFlag(c *cobra.Command, flag string, values []string) {
	registerCompletion(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func registerCompletion(c *cobra.Command, flag string, fn cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, fn); err != nil {
		panic(err) // the flag does not exist: a mistake in the command's constructor
	}
}
