package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
)

func newConfigInitCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "init",
		Short: "Set up the configuration in a short conversation",
		Long: `Asks for the API's address and how to get the API key, writes the configuration
file and tries it. Answers of an earlier run are offered again.
Without a terminal it refuses; use config set there.`,
		Example: `  vers-fleet config init
  vers-fleet config init --profile staging`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runConfigInit(c.Context(), env) },
	}
	return about(c, "", "works, but cannot check the API key", exitOK, exitAuth, exitUnavailable, exitStorage)
}

func runConfigInit(ctx context.Context, env *Env) error {
	env.newFile = true
	path, err := needConfigPath(env)
	if err != nil {
		return err
	}
	s := env.Streams
	if !s.CanAsk() {
		return usageError("config init needs a terminal", ui.ErrNotTerminal.Error(),
			"without one: vers-fleet config set api_url URL; vers-fleet config set api_key - < file")
	}
	for _, q := range []struct{ key, ask string }{
		{"api_url", "Base URL of the API"},
		{"api_key_command", "Command that prints the API key (empty: store the key itself)"},
	} {
		if err := askSetting(ctx, env, path, q.key, q.ask); err != nil {
			return err
		}
	}
	if err := askAPIKey(env, path); err != nil {
		return err
	}
	s.Notef("wrote %s", path)
	return checkAnswers(ctx, env)
}

// checkAnswers tries what was just written by listing the fleet.
func checkAnswers(ctx context.Context, env *Env) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	list, err := f.List(ctx, fleet.ListOptions{NoSync: true})
	switch {
	case err != nil:
		return err
	case list.Source == fleet.FromAPI:
		env.Streams.Notef("the API answers and knows %d VMs; record their keys with: vers-fleet vms", len(list.VMs))
	default:
		env.Streams.Notef("the API could not be asked, so the answers are not tested yet; see: vers-fleet status")
	}
	return nil
}

// askSetting asks until the answer is a valid value.
func askSetting(ctx context.Context, env *Env, path, name, question string) error {
	key, _ := findKey(name)
	for {
		current := runningValue(env, name)
		answer, err := env.Streams.Ask(ctx, question, current)
		if err != nil {
			return err
		}
		node, err := settingNode(env, key, answer)
		if err != nil {
			env.Streams.Warnf("%s", err.Error())
			continue
		}
		if answer == current {
			return nil
		}
		return editConfig(path, env.flags.profile, name, node)
	}
}

func runningValue(env *Env, name string) string {
	values, err := effectiveValues(env)
	if err != nil {
		return ""
	}
	for _, v := range values {
		if v.Key == name {
			return v.text()
		}
	}
	return ""
}

// askAPIKey asks for the key unless one is found already.
func askAPIKey(env *Env, path string) error {
	l, err := loadLayers(env, func(string) {})
	if err != nil {
		return err
	}
	s := &Settings{Profile: l.profile, layers: l, paths: paths{env.Getenv}, warn: func(string) {}}
	if shown, from := s.apiKeyOrigin(); from != "not set" {
		env.Streams.Notef("API key: %s (%s)", shown, from)
		return nil
	}
	key, _ := findKey("api_key")
	for {
		secret, err := env.Streams.Secret("API key (not shown):")
		if err != nil {
			return err
		}
		node, err := settingNode(env, key, string(secret))
		if err == nil && node == nil {
			err = errors.New("an empty key is of no use")
		}
		if err != nil {
			env.Streams.Warnf("%s", err.Error())
			continue
		}
		return editConfig(path, env.flags.profile, "api_key", node)
	}
}
