package cmd

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/mcpserver/clients"
	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

type mcpInstallOptions struct {
	mcpOptions
	client, file string
	yes          bool
}

func newMCPInstallCommand(env *Env) *cobra.Command {
	var o mcpInstallOptions
	c := &cobra.Command{
		Use:   "install CLIENT",
		Short: "Write the server into a client's configuration",
		Long: `Writes how to start the server into the configuration of a client, one of
` + strings.Join(clients.Names(), ", ") + `. It
shows first what it will write, and asks. The rest of the file stays as it is,
comments included; no key or token is written, the server finds them as every
other command does.`,
		Example: `  vers-fleet mcp install claude
  vers-fleet mcp install cursor --read-only
  vers-fleet mcp install vscode --file .vscode/mcp.json --yes`,
		Args:      argCount(1, 1),
		ValidArgs: clients.Names(),
		RunE: func(c *cobra.Command, args []string) error {
			o.client = args[0]
			return runMCPInstall(c.Context(), env, o)
		},
	}
	o.register(c)
	c.Flags().StringVar(&o.file, "file", "", "`FILE` of the client, where it is not the usual one")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return about(c, "", "works", exitOK, exitStorage)
}

func runMCPInstall(ctx context.Context, env *Env, o mcpInstallOptions) error {
	client, err := clients.Find(o.client)
	if err != nil {
		return err
	}
	if _, err := o.server(ctx, env); err != nil { // that it would not start is told now
		return err
	}
	entry, err := o.entry(env)
	if err != nil {
		return err
	}
	var place clients.Place
	if o.file == "" {
		if place, err = clients.Here(settings.UserHome()); err != nil {
			return err
		}
	}
	change, err := client.Plan(place, o.file, entry)
	if err != nil {
		return err
	}
	if change.Before == change.After {
		env.Streams.Notef("%s has it already", change.Path)
		return o.report(env, change, entry, false)
	}
	showEntry(env, change, entry)
	if !o.yes {
		if err := env.confirm(ctx, "Write it?"); err != nil {
			return err
		}
	}
	if err := change.Write(); err != nil {
		return err
	}
	env.Streams.Notef("written; start %s anew, or let it read its servers again", client.Name)
	return o.report(env, change, entry, true)
}

// entry is how a client starts the server: with the same profile, configuration and
// settings as this command, and no secret.
func (o *mcpInstallOptions) entry(env *Env) (clients.Entry, error) {
	e := clients.Entry{Command: ownPath(), Args: []string{"mcp"}}
	root, err := o.folder()
	if err != nil {
		return e, err
	}
	s, err := env.Settings()
	if err != nil {
		return e, err
	}
	if s.Profile != "default" {
		e.Args = append(e.Args, "--profile", s.Profile)
	}
	if o.readOnly {
		e.Args = append(e.Args, "--read-only")
	}
	if o.allowChanges {
		e.Args = append(e.Args, "--allow-changes")
	}
	if len(o.tools) > 0 {
		e.Args = append(e.Args, "--tools", strings.Join(o.tools, ","))
	}
	e.Args = append(e.Args, "--root", root)
	words, err := s.Environment() // without secrets
	if err != nil {
		return e, err
	}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		if name != "HOME" && (name != "XDG_CONFIG_HOME" || value != "") {
			if e.Env == nil {
				e.Env = map[string]string{}
			}
			e.Env[name] = value
		}
	}
	return e, nil
}

// ownPath is this program as a client finds it, which may have another PATH.
func ownPath() string {
	if found, err := exec.LookPath("vers-fleet"); err == nil {
		if path, err := filepath.Abs(found); err == nil {
			return path // the name under which it was installed survives an upgrade
		}
	}
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "vers-fleet"
}

// showEntry says what will be written, and where.
func showEntry(env *Env, change clients.Change, e clients.Entry) {
	what := "to be changed: " + change.Path
	if change.New {
		what = "to be made: " + change.Path
	}
	env.Streams.Notef("%s\n  server   %s\n  command  %s\n  args     %s", what, clients.Name, e.Command, strings.Join(e.Args, " "))
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		env.Streams.Notef("  env      %s=%s", name, e.Env[name])
	}
}

// installed is what install did, for scripts.
type installed struct {
	Client  string        `json:"client"`
	File    string        `json:"file"`
	Changed bool          `json:"changed"`
	Server  clients.Entry `json:"server"`
}

func (o *mcpInstallOptions) report(env *Env, change clients.Change, e clients.Entry, changed bool) error {
	if env.Format().Table() {
		return nil
	}
	v := installed{o.client, change.Path, changed, e}
	return ui.Value{JSON: v, Name: v.File}.Print(env.Streams, env.Format())
}
