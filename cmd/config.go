package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
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

// configValue is one setting as it is shown; secrets never are.
type configValue struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`  // text, or a list of texts
	Origin string `json:"origin"` // "default", "flag --api-url", "environment X", "FILE line N"
}

func (v configValue) text() string {
	if list, ok := v.Value.([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(v.Value)
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
	values, err := effectiveValues(env)
	if err != nil {
		return err
	}
	listing := ui.Listing[configValue]{
		Columns: []ui.Column[configValue]{
			{Header: "KEY", Value: func(v configValue) string { return v.Key }, Style: func(configValue) ui.Style { return ui.Strong }},
			{Header: "VALUE", Value: configValue.text},
			{Header: "ORIGIN", Value: func(v configValue) string { return v.Origin }, Style: func(v configValue) ui.Style {
				if v.Origin == "default" {
					return ui.Faint
				}
				return ui.Normal
			}},
		},
		Name: func(v configValue) string { return v.Key },
	}
	if err := listing.Print(env.Streams, env.Format(), values); err != nil {
		return err
	}
	_, err = env.Settings() // what is shown may be wrong; say so
	return err
}

// effectiveValues are all settings as they hold, checked or not.
func effectiveValues(env *Env) ([]configValue, error) {
	l, err := loadLayers(env, func(string) {}) // env.Settings tells the warnings
	if err != nil {
		return nil, err
	}
	s := &Settings{Profile: l.profile, layers: l, paths: paths{env.Getenv}, warn: func(string) {}}
	var out []configValue
	for _, k := range settingKeys() {
		out = append(out, s.show(k))
	}
	return out, nil
}

// show is one setting with its secret parts left out.
func (s *Settings) show(k settingKey) configValue {
	v := configValue{Key: k.name, Value: s.layers.v.GetString(k.name), Origin: s.layers.origins[k.name].text}
	switch {
	case k.name == "api_key":
		v.Value, v.Origin = s.apiKeyOrigin()
	case k.typ == asSecret && v.Value != "":
		v.Value = shownKey(fmt.Sprint(v.Value))
	case k.typ == asList:
		v.Value = listOf(s.layers.v.Get(k.name))
	case k.name == "home" && v.Value == "":
		if home, err := s.Home(); err == nil {
			v.Value = home
		}
	}
	return v
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
	if _, ok := findKey(name); !ok {
		return unknownKey(name)
	}
	values, err := effectiveValues(env)
	if err != nil {
		return err
	}
	for _, v := range values {
		if v.Key == name {
			return ui.Value{JSON: v, Name: v.Key, Text: func(t *ui.Text) { t.Line("%s", v.text()) }}.Print(env.Streams, env.Format())
		}
	}
	return nil
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
	path, err := needConfigPath(env)
	if err != nil {
		return err
	}
	return ui.Value{JSON: configPathValue{path}, Name: path, Text: func(t *ui.Text) { t.Line("%s", path) }}.Print(env.Streams, env.Format())
}

func needConfigPath(env *Env) (string, error) {
	path, _ := configPath(env)
	if path == "" {
		return "", usageError("no place for the configuration file", "neither HOME nor XDG_CONFIG_HOME is set to an absolute path",
			"set HOME, or name a file with --config")
	}
	return path, nil
}

func unknownKey(name string) error {
	next := "all keys: vers-fleet help environment"
	if n := nearest(name, keyNames()); n != "" {
		next = "did you mean " + n + "? " + next
	}
	return usageError(fmt.Sprintf("there is no setting %q", ui.Clean(name)), "", next)
}

func completeKeys(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, k := range settingKeys() {
		out = append(out, cobra.CompletionWithDesc(k.name, k.help))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
