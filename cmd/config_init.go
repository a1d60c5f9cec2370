package cmd

import (
	"bytes"
	"context"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
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
	path, err := settings.Path(env.flags.set)
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
	list, err := f.Inventory.List(ctx, inventory.ListOptions{})
	switch {
	case err != nil:
		return err
	case list.Source == outage.FromAPI:
		env.Streams.Notef("the API answers and knows %d VMs; record their keys with: vers-fleet vms", len(list.VMs))
	default:
		env.Streams.Notef("the API could not be asked, so the answers are not tested yet; see: vers-fleet status")
	}
	return nil
}

// askSetting asks until the answer is a valid value.
func askSetting(ctx context.Context, env *Env, path, name, question string) error {
	key, err := settings.Find(name)
	if err != nil {
		return err
	}
	for {
		current := ""
		if s, err := loadedAnew(env); err == nil {
			current = s.Value(key).Text()
		}
		answer, err := env.Streams.Ask(ctx, question, current)
		if err != nil || answer == current {
			return err
		}
		err = settings.Set(path, env.flags.profile, name, answer)
		if problem.KindOf(err) != problem.Usage {
			return err
		}
		env.Streams.Warnf("%s", err.Error())
	}
}

// loadedAnew is the settings with the answers so far.
func loadedAnew(env *Env) (*settings.Settings, error) {
	src := env.source()
	src.Warn, src.NewFile = nil, true
	return settings.Load(src)
}

// askAPIKey asks for the key unless one is found already.
func askAPIKey(env *Env, path string) error {
	s, err := loadedAnew(env)
	if err != nil {
		return err
	}
	key, err := settings.Find("api_key")
	if err != nil {
		return err
	}
	if found := s.Value(key); found.Origin != settings.NotSet {
		env.Streams.Notef("API key: %s (%s)", found.Text(), found.Origin)
		return nil
	}
	for {
		secret, err := env.Streams.Secret("API key (not shown):")
		switch {
		case err != nil:
			return err
		case len(bytes.TrimSpace(secret)) == 0:
			env.Streams.Warnf("an empty key is of no use")
			continue
		}
		err = settings.Set(path, env.flags.profile, key.Name, string(secret))
		if problem.KindOf(err) != problem.Usage {
			return err
		}
		env.Streams.Warnf("%s", err.Error())
	}
}
