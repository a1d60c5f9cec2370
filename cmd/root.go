package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// The groups of the help text.
const (
	groupEveryday = "everyday"
	groupOutage   = "outage"
	groupKeys     = "keys"
	groupSSH      = "ssh"
	groupTool     = "tool"
)

// Tree returns the command tree, for the generator of manual pages and
// completions. Its commands must not be run.
func Tree() *cobra.Command {
	streams, _ := ui.Fake(false, 0)
	return newRootCommand(NewEnv(streams, func(string) string { return "" }, nil), nil)
}

// newRootCommand builds the tree that args need: the one command that they call,
// or all of it where more is shown than one.
func newRootCommand(env *Env, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "vers-fleet",
		Short: "Reach your Vers VMs, API or no API",
		Long: `Lists, reaches, copies from and snapshots the VMs of a Vers fleet.
Keys and inventory are recorded while the API answers, so that ssh, exec, pull
and push work on when it does not. In an outage: vers-fleet help outage`,
		Example: `  vers-fleet vms
  vers-fleet ssh marketing
  vers-fleet pull marketing:/root/workspace/images/ ./images
  vers-fleet status`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Version:           env.Build.Version,
		PersistentPreRunE: env.begin,
	}
	root.SetOut(env.Streams.Out)
	root.SetErr(env.Streams.Err)
	root.SetIn(env.Streams.In)
	root.SetVersionTemplate("vers-fleet {{.Version}}\n")
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) { showHelp(env, c, args, help) })
	env.flags.register(root)
	completeFlags(env, root)
	for _, g := range []struct{ id, title string }{
		{groupEveryday, "Everyday:"}, {groupOutage, "In an outage:"}, {groupKeys, "Keys and names:"},
		{groupSSH, "Plain ssh:"}, {groupTool, "The tool itself:"},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
	}
	root.SetHelpCommandGroupID(groupTool)
	root.SetCompletionCommandGroupID(groupTool)
	addSubcommands(env, root, args)
	root.SetArgs(args)
	return root
}

// addSubcommands gives root the command that args call, or every command.
func addSubcommands(env *Env, root *cobra.Command, args []string) {
	if c := called(root, args); c != nil {
		root.AddCommand(c(env))
		root.CompletionOptions.DisableDefaultCmd = true
	} else {
		for _, s := range subcommands() {
			root.AddCommand(s.build(env))
		}
		root.AddCommand(helpTopics()...)
		root.InitDefaultHelpCmd()
		explainHelp(root)
		root.InitDefaultCompletionCmd()
		printScripts(env, root)
	}
	finish(env, root)
}

// called is the constructor of the command that args call, or complete the
// arguments of; nil if they call none, or one that tells of others. cobra itself
// looks for it, among commands that have nothing but a name.
func called(root *cobra.Command, args []string) func(*Env) *cobra.Command {
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		args = args[1:max(1, len(args)-1)] // the word that is being completed calls nothing
	}
	names := map[*cobra.Command]func(*Env) *cobra.Command{}
	for _, s := range subcommands() {
		c := &cobra.Command{Use: s.name}
		names[c] = s.build
		root.AddCommand(c)
	}
	found, _, _ := root.Find(args)
	root.RemoveCommand(slices.Collect(maps.Keys(names))...)
	return names[found]
}

// subcommand is one command of the tree, by the name that calls it.
type subcommand struct {
	name  string
	build func(*Env) *cobra.Command
}

// subcommands are all there are. Adding one is one line here.
func subcommands() []subcommand {
	return []subcommand{
		{"vms", newVMsCommand},
		{"ssh", newSSHCommand},
		{"exec", newExecCommand},
		{"pull", newPullCommand},
		{"push", newPushCommand},
		{diffName, newDiffCommand},
		{"output", newOutputCommand},
		{"send", newSendCommand},
		{"commit", newCommitCommand},
		{"commits", newCommitsCommand},
		{"branch", newBranchCommand},
		{"pause", newPauseCommand},
		{"resume", newResumeCommand},
		{"status", newStatusCommand},
		{"wait", newWaitCommand},
		{"drill", newDrillCommand},
		{"queue", newQueueCommand},
		{"daemon", newDaemonCommand},
		{"keys", newKeysCommand},
		{"alias", newAliasCommand},
		{"ssh-config", newSSHConfigCommand},
		{"proxy", newProxyCommand},
		{"mcp", newMCPCommand},
		{shareName, newShareCommand},
		{"sim", newSimCommand},
		{"demo", newDemoCommand},
		{"config", newConfigCommand},
		{"version", newVersionCommand},
		{"__offer", newOfferCommand},
	}
}

// helpWidth is how wide help texts are.
const helpWidth = 80

// about gives a command its group, what it does when the API is down, and the
// exit codes it uses beyond 1, 2 and 130, which every command has.
func about(c *cobra.Command, group, apiDown string, codes ...int) *cobra.Command {
	c.GroupID = group
	var exits, named []string
	for _, m := range exitTable() {
		if slices.Contains(codes, m.Code) {
			exits = append(exits, fmt.Sprintf("%d %s", m.Code, m.short))
			named = append(named, strconv.Itoa(m.Code))
		}
	}
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[exitAnnotation] = strings.Join(named, " ")
	c.Long += "\n\nWhen the API is down: " + apiDown + ".\n" +
		ui.Wrap("Exit codes: "+strings.Join(exits, ", ")+"; see: vers-fleet help exit-codes", helpWidth)
	return c
}

// finish walks the tree: errors of parsing become usage errors that name the
// help to read, and commands that only hold others explain themselves.
func finish(env *Env, c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(c, err) })
	c.DisableAutoGenTag = true
	c.Flags().SortFlags = false
	c.SetUsageTemplate(usageTemplate)
	if c.HasSubCommands() && c.RunE == nil && c.Run == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error { return runGroup(c, args) }
	}
	if c.ValidArgsFunction == nil && !strings.Contains(c.Use, " ") && !c.HasSubCommands() {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range c.Commands() {
		finish(env, sub)
	}
}

// showHelp renders the help before writing it, so that a reader that goes away
// is nobody's error.
func showHelp(env *Env, c *cobra.Command, args []string, render func(*cobra.Command, []string)) {
	var b bytes.Buffer
	c.SetOut(&b)
	render(c, args)
	c.SetOut(env.Streams.Out)
	_, _ = env.Streams.Out.Write(b.Bytes())
}

// runGroup serves a command that has subcommands and does nothing itself.
func runGroup(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	next := "see: " + c.CommandPath() + " --help"
	if hint := suggest(c, args[0]); hint != "" {
		next = hint
	}
	return usageError(fmt.Sprintf("unknown command %q for %q", safe.Clean(args[0]), c.CommandPath()), "", next)
}

// explainHelp makes help COMMAND refuse what it does not know, with the
// nearest it does.
func explainHelp(root *cobra.Command) {
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		help.Use, help.Short, help.Long = "help [COMMAND | TOPIC]", "Help about a command or a topic", "Shows the help of a command, or one of the topics of vers-fleet --help."
		help.Run, help.ValidArgsFunction = nil, completeHelp
		help.RunE = func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err == nil && (len(rest) == 0 || !c.HasSubCommands()) {
				return c.Help()
			}
			var names []string
			for _, sub := range c.Commands() {
				if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
					names = append(names, sub.Name())
				}
			}
			next := "see: " + c.CommandPath() + " --help"
			if n := nearest(rest[0], names); n != "" {
				next = "did you mean: vers-fleet help " + strings.TrimPrefix(c.CommandPath()+" "+n, root.Name()+" ")
			}
			return usageError(fmt.Sprintf("there is no help about %q", safe.Clean(strings.Join(args, " "))), "", next)
		}
	}
}

// execute runs the command line.
func execute(ctx context.Context, env *Env) error {
	root := newRootCommand(env, env.Args)
	c, err := root.ExecuteContextC(ctx)
	env.remindOfQueue(c)
	return err
}

// flagError is wrong use of a flag.
func flagError(c *cobra.Command, err error) error {
	if fleetKind(err) != "" { // a flag's own check said it better
		return err
	}
	next := "see: " + c.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if n := nearest(unknown.GetSpecifiedName(), names); n != "" && unknown.GetSpecifiedShortnames() == "" {
			next = "did you mean: --" + n
		}
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "duration":
		next = "write a duration like 30s, 5m or 2h"
	}
	return usageError(safe.Clean(err.Error()), "", next)
}

// usageTemplate is cobra's with the global flags told once, at the root.
const usageTemplate = `Usage:{{if and .Runnable (or (not .HasAvailableSubCommands) (ne .Use .Name))}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND [flags]{{end}}{{if gt (len .Aliases) 0}}

Aliases:
  {{.NameAndAliases}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}{{$cmds := .Commands}}{{if eq (len .Groups) 0}}

Commands:{{range $cmds}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }}  {{.Short}}{{end}}{{end}}{{else}}{{range $group := .Groups}}

{{.Title}}{{range $cmds}}{{if (and (eq .GroupID $group.ID) .IsAvailableCommand)}}
  {{rpad .Name .NamePadding }}  {{.Short}}{{end}}{{end}}{{end}}{{end}}{{end}}{{if and .HasHelpSubCommands}}

Topics (vers-fleet help TOPIC):{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of every command: see vers-fleet --help{{end}}
`
