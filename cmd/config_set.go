package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

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
		ValidArgsFunction: completeKeys,
		RunE: func(c *cobra.Command, args []string) error {
			return runConfigSet(c.Context(), env, args)
		},
	}
	return about(c, "", "works", exitOK, exitStorage)
}

func runConfigSet(ctx context.Context, env *Env, args []string) error {
	key, ok := findKey(args[0])
	if !ok {
		return unknownKey(args[0])
	}
	env.newFile = true
	path, err := needConfigPath(env)
	if err != nil {
		return err
	}
	value, err := valueToSet(ctx, env, key, args[1:])
	if err != nil {
		return err
	}
	node, err := settingNode(env, key, value)
	if err != nil {
		return err
	}
	profile := env.flags.profile
	if key.name == "profile" {
		profile = ""
	}
	if err := editConfig(path, profile, key.name, node); err != nil {
		return err
	}
	env.Streams.Debugf("wrote %s", path)
	return nil
}

// valueToSet is the second argument, stdin, or an answer on the terminal.
func valueToSet(ctx context.Context, env *Env, key settingKey, args []string) (string, error) {
	switch {
	case len(args) == 1 && args[0] == "-":
		env.Streams.Debugf("reading %s from stdin", key.name)
		data, err := env.Streams.ReadIn(ctx, 64<<10)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return "", usageError("cannot read the value from stdin", reason(err), "")
		}
		return strings.TrimSpace(string(data)), nil
	case len(args) == 1:
		return strings.TrimSpace(args[0]), nil
	case key.typ == asSecret:
		secret, err := env.Streams.Secret(key.name + ":")
		if err != nil && ctx.Err() == nil {
			return "", usageError("no value for "+key.name, err.Error(), "pipe it in: vers-fleet config set "+key.name+" - < file")
		}
		return strings.TrimSpace(string(secret)), err
	default:
		return "", usageError("no value for "+key.name, "", fmt.Sprintf("vers-fleet config set %s VALUE", key.name))
	}
}
