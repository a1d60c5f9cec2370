package cmd

import (
	"bytes"
	"context"
	"errors"
	"strings"

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
		Long: `Asks for the API key, or a command that prints it, and the API's address, writes
the configuration file and tries it; a refused key can be corrected at once.
Answers of an earlier run are offered again.
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
	err = converse(ctx, env, path)
	if errors.Is(err, ui.ErrNotTerminal) {
		return &problem.Error{Kind: problem.Interrupted, What: "config init was ended before it was done", Why: "there was no answer", Origin: problem.OriginLocal,
			Next: "what was answered before is in " + path + "; go on with: vers-fleet config init"}
	}
	return err
}

// keyTries is how often a refused API key may be corrected.
const keyTries = 3

// converse asks for everything, the API key first, and tries the answers.
func converse(ctx context.Context, env *Env, path string) error {
	if err := askKeyOrCommand(ctx, env, path); err != nil {
		return err
	}
	if err := askSetting(ctx, env, path, "api_url", "Base URL of the API"); err != nil {
		return err
	}
	env.Streams.Notef("wrote %s", path)
	for try := 1; ; try++ {
		err := checkAnswers(ctx, env)
		if problem.KindOf(err) != problem.Auth || try == keyTries {
			return err
		}
		env.Streams.Warnf("%s", err.Error())
		if err := askKeyOrCommand(ctx, env, path); err != nil {
			return err
		}
	}
}

// checkAnswers tries what was just written by listing the fleet.
func checkAnswers(ctx context.Context, env *Env) error {
	anew := NewEnv(env.Streams, env.Getenv, env.Args) // the settings were read before they were written
	anew.flags = env.flags
	f, err := anew.Fleet(ctx)
	if err != nil {
		return err
	}
	list, err := f.Inventory.List(ctx, inventory.ListOptions{Quick: true})
	if err == nil && list.Source == outage.FromAPI {
		env.Streams.Notef("the API answers and knows %s; record their keys with: vers-fleet vms", ui.Count(len(list.VMs), "VM"))
		return nil
	}
	if err == nil && list.Outage != nil && list.Outage.Kind == problem.Auth {
		err = list.Outage
	}
	if other := f.API.OtherBase(); other != "" && problem.KindOf(err) != problem.Auth && f.API.AnswersAt(ctx, other) {
		env.Streams.Notef("the API does not answer at %s, but at %s; set it: vers-fleet config set api_url %s", f.API.BaseURL(), other, other)
		return nil
	}
	if err == nil {
		env.Streams.Notef("the API could not be asked, so the answers are not tested yet; see: vers-fleet status")
	}
	return err
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

// askKeyOrCommand asks for the API key, hidden, and where none is typed for a
// command that prints it. Whichever is given replaces the other in the file.
func askKeyOrCommand(ctx context.Context, env *Env, path string) error {
	for {
		typed, known, err := askAPIKey(env, path)
		if err != nil || typed {
			return err
		}
		named, err := askKeyCommand(ctx, env, path)
		if err != nil || named || known {
			return err
		}
		env.Streams.Warnf("without an API key nothing can be recorded")
	}
}

// askAPIKey asks for the key. known tells that there was one before.
func askAPIKey(env *Env, path string) (typed, known bool, err error) {
	s, err := loadedAnew(env)
	if err != nil {
		return false, false, err
	}
	key, err := settings.Find("api_key")
	if err != nil {
		return false, false, err
	}
	question := "API key (not shown; Enter: a command prints it):"
	if found := s.Value(key); found.Origin != settings.NotSet {
		known, question = true, "Another API key (not shown; Enter keeps it):"
		env.Streams.Notef("API key: %s (%s)", found.Text(), found.Origin)
	}
	for {
		secret, err := env.Streams.Secret(question)
		if err != nil || len(bytes.TrimSpace(secret)) == 0 {
			return false, known, err
		}
		err = settings.Set(path, env.flags.profile, key.Name, string(secret))
		if err == nil {
			return true, known, settings.Set(path, env.flags.profile, "api_key_command", "")
		}
		if problem.KindOf(err) != problem.Usage {
			return false, known, err
		}
		env.Streams.Warnf("%s", err.Error())
	}
}

// askKeyCommand asks for a command that prints the API key.
func askKeyCommand(ctx context.Context, env *Env, path string) (named bool, err error) {
	for {
		answer, err := env.Streams.Ask(ctx, "Command that prints the API key (Enter: none)", "")
		answer = strings.TrimSpace(answer)
		switch {
		case err != nil || answer == "":
			return false, err
		case keyShaped(answer):
			env.Streams.Warnf("this looks like an API key and not like a command, so it was not stored; it is asked for hidden, as it stands on the screen now")
			return false, nil
		}
		err = settings.Set(path, env.flags.profile, "api_key_command", answer)
		if err == nil {
			return true, settings.Set(path, env.flags.profile, "api_key", "")
		}
		if problem.KindOf(err) != problem.Usage {
			return false, err
		}
		env.Streams.Warnf("%s", err.Error())
	}
}

// keyShaped reports whether a text is no command but a secret: one long word
// of the characters that keys have.
func keyShaped(text string) bool {
	const shortestKey = 32
	return len(text) >= shortestKey && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
	})
}
