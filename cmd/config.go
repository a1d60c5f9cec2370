package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

func newConfigCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show and change the configuration",
		Long: `Shows each setting with where its value comes from, and changes the
configuration file. All keys: vers-fleet help environment`,
		Example: `  vers-fleet config view
  vers-fleet config set api_url https://api.vers.sh/api/v1`,
	}
	c.AddCommand(newConfigViewCommand(env), newConfigGetCommand(env), newConfigSetCommand(env),
		newConfigPathCommand(env), newConfigInitCommand(env))
	return about(c, groupTool, "works", exitOK)
}

func newConfigViewCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "view",
		Short: "Show every setting and where its value comes from",
		Long: `Shows what holds for the chosen profile: flag over environment over
configuration file over default. Secrets are not shown; of an API key only the
owner's id is.`,
		Example: `  vers-fleet config view
  vers-fleet config view --profile staging -o yaml`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runConfigView(env) },
	}
	return about(c, "", "works", exitOK)
}

func runConfigView(env *Env) error {
	all, err := env.loaded()
	if err != nil {
		return err
	}
	listing := ui.Listing[settings.Value]{
		Columns: []ui.Column[settings.Value]{
			{Header: "KEY", Value: func(v settings.Value) string { return v.Key }, Style: func(settings.Value) ui.Style { return ui.Strong }},
			{Header: "VALUE", Wraps: true, Value: settings.Value.Text},
			{Header: "ORIGIN", Wraps: true, Value: func(v settings.Value) string { return v.Origin }, Style: func(v settings.Value) ui.Style {
				if v.Origin == "default" {
					return ui.Faint
				}
				return ui.Normal
			}},
		},
		Name: func(v settings.Value) string { return v.Key },
	}
	if err := listing.Print(env.Streams, env.Format(), all.Values()); err != nil {
		return err
	}
	return all.Check() // what is shown may be wrong; say so
}

func newConfigGetCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of one setting",
		Long: `Prints the value that holds, nothing if there is none. Secrets are not
printed; of an API key only the owner's id is.`,
		Example:           `  vers-fleet config get api_url`,
		Args:              argCount(1, 1),
		ValidArgsFunction: completeKeys,
		RunE:              func(_ *cobra.Command, args []string) error { return runConfigGet(env, args[0]) },
	}
	return about(c, "", "works", exitOK)
}

func runConfigGet(env *Env, name string) error {
	key, err := settings.Find(name)
	if err != nil {
		return err
	}
	all, err := env.loaded()
	if err != nil {
		return err
	}
	v := all.Value(key)
	return ui.Value{JSON: v, Name: v.Key, Text: func(t *ui.Text) { t.Line("%s", v.Text()) }}.Print(env.Streams, env.Format())
}

func newConfigPathCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "path",
		Short:   "Print where the configuration file is",
		Long:    "Prints the path of the configuration file, whether or not it exists yet.\nFor scripts and editors.",
		Example: `  ${EDITOR:-vi} "$(vers-fleet config path)"`,
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runConfigPath(env) },
	}
	return about(c, "", "works", exitOK)
}

// configPathValue is the JSON form of config path.
type configPathValue struct {
	Path string `json:"path"`
}

func runConfigPath(env *Env) error {
	path, err := settings.Path(env.flags.set)
	if err != nil {
		return err
	}
	return ui.Value{JSON: configPathValue{path}, Name: path, Text: func(t *ui.Text) { t.Line("%s", path) }}.Print(env.Streams, env.Format())
}

func newConfigSetCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "set KEY [VALUE]",
		Short: "Change one setting in the configuration file",
		Long: `Checks the value and writes it to the configuration file; comments in the file
stay. With --profile the value holds for that profile only. An empty VALUE
removes the key, "-" reads it from stdin. A secret is asked for when VALUE is
left out, which keeps it out of the shell's history.`,
		Example: `  vers-fleet config set api_url https://api.vers.sh/api/v1
  vers-fleet config set pull.paths /root/workspace,/root/out
  vers-fleet config set api_key_command 'pass show vers/api-key'
  vers-fleet config set --profile staging api_url https://staging.example/api/v1`,
		Args:              argCount(1, 2),
		Annotations:       onlyFirst(),
		ValidArgsFunction: completeKeys,
		RunE: func(c *cobra.Command, args []string) error {
			return runConfigSet(c.Context(), env, args)
		},
	}
	return about(c, "", "works", exitOK, exitStorage)
}

func runConfigSet(ctx context.Context, env *Env, args []string) error {
	key, err := settings.Find(args[0])
	if err != nil {
		return err
	}
	path, err := settings.Path(env.flags.set)
	if err != nil {
		return err
	}
	value, err := valueToSet(ctx, env, key, args[1:])
	if err != nil {
		return err
	}
	if err := settings.Set(path, env.flags.profile, key.Name, value); err != nil {
		return err
	}
	env.Streams.Debugf("wrote %s", path)
	return nil
}

// valueToSet is the second argument, stdin, or an answer on the terminal.
func valueToSet(ctx context.Context, env *Env, key settings.Key, args []string) (string, error) {
	switch {
	case len(args) == 1 && args[0] == "-":
		env.Streams.Debugf("reading %s from stdin", key.Name)
		data, err := env.Streams.ReadIn(ctx, 64<<10)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return "", usageError("cannot read the value from stdin", problem.Cause(err), "")
		}
		return string(data), nil
	case len(args) == 1:
		return args[0], nil
	case key.Secret:
		secret, err := env.Streams.Secret(key.Name + ":")
		if err != nil && ctx.Err() == nil {
			return "", usageError("no value for "+key.Name, err.Error(), "pipe it in: vers-fleet config set "+key.Name+" - < file")
		}
		return string(secret), err
	default:
		return "", usageError("no value for "+key.Name, "", fmt.Sprintf("vers-fleet config set %s VALUE", key.Name))
	}
}

func completeKeys(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, k := range settings.Keys() {
		out = append(out, cobra.CompletionWithDesc(k.Name, k.Help))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
