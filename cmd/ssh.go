package cmd

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

type sshOptions struct {
	vm      string
	command []string
	tty     int
	noTTY   bool
	noStdin bool
	noShell bool
	agent   bool
	escape  string
	local   []string
	remote  []string
	dynamic []string
	stdio   string
	print   bool
	again   bool
	sibling bool
}

func newSSHCommand(env *Env) *cobra.Command {
	var o sshOptions
	c := &cobra.Command{
		Use:   "ssh [flags] VM [-- CMD...]",
		Short: "Open a shell, or run a command, on one VM",
		Long: `Opens a shell on the VM, or runs a command there with stdin, stdout, stderr
and the exit status passed through as OpenSSH does; failures of its own are
255. With a recorded key it connects at once and asks the API nothing. Flags go
before VM; whatever follows it is the command: its words are joined by spaces
into one line for the shell there, as OpenSSH does. (exec keeps the words of a
command apart.)`,
		Example: `  vers-fleet ssh marketing
  vers-fleet ssh marketing -- ls -la /root/workspace
  vers-fleet ssh --reconnect marketing
  vers-fleet ssh -L 8080:localhost:80 infra-ui
  tar c . | vers-fleet ssh infra-ui -- tar x -C /tmp`,
		DisableFlagsInUseLine: true, // they end at VM
		Annotations:           onlyFirst(),
		RunE: orPick(env, func() bool { return false }, func(c *cobra.Command, args []string) error {
			if err := argCount(1, -1)(c, args); err != nil {
				return err
			}
			o.vm, o.command = args[0], args[1:]
			if len(o.command) > 0 && o.command[0] == "--" { // flags end at VM, so pflag leaves it
				o.command = o.command[1:]
			}
			env.foreign = true
			return ownFailure(runSSH(c.Context(), env, o))
		}),
	}
	c.ValidArgsFunction = completeVMs(env, 1)
	o.register(c.Flags())
	return about(c, groupEveryday, "connects directly with the recorded key", exitOK, exitSSH)
}

func (o *sshOptions) register(f *pflag.FlagSet) {
	f.SetInterspersed(false)
	f.CountVarP(&o.tty, "tty", "t", "ask for a terminal for the command too; -tt even if stdin is none")
	f.BoolVarP(&o.noTTY, "no-tty", "T", false, "no terminal, for a shell neither")
	f.BoolVarP(&o.noStdin, "no-stdin", "n", false, "leave stdin alone, so that a loop around this command keeps its input")
	f.BoolVarP(&o.noShell, "no-command", "N", false, "run nothing; just forward")
	f.BoolVarP(&o.agent, "forward-agent", "A", false, "let the VM use the local ssh-agent")
	f.StringVarP(&o.escape, "escape", "e", "~", "escape `CHARACTER` of a terminal session, or none")
	f.StringArrayVarP(&o.local, "local-forward", "L", nil, "forward `[BIND:]PORT:HOST:PORT` from here to there")
	f.StringArrayVarP(&o.remote, "remote-forward", "R", nil, "forward `[BIND:]PORT:HOST:PORT` from there to here")
	f.StringArrayVarP(&o.dynamic, "dynamic-forward", "D", nil, "SOCKS proxy (4, 4A, 5) on `[BIND:]PORT`")
	f.StringVarP(&o.stdio, "stdio-forward", "W", "", "join stdin and stdout to `HOST:PORT` as seen from the VM")
	f.BoolVar(&o.again, "reconnect", false, "come back after a cut, into the same shell if tmux or screen is on the VM")
	f.BoolVar(&o.sibling, "try-sibling-keys", false, "without a key of its own, try and record one of a VM with the same host key")
	f.BoolVar(&o.print, "print", false, "print the equivalent OpenSSH command instead")
}

func runSSH(ctx context.Context, env *Env, o sshOptions) error {
	run, forwards, err := o.parse(env)
	if err != nil {
		return err
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vm, err := f.Inventory.One(ctx, o.vm)
	if err != nil {
		return err
	}
	if o.sibling {
		if err := f.Access.TrySiblings(ctx, vm); err != nil {
			return err
		}
	}
	switch {
	case o.print:
		return printLine(env, f.OpenSSH.Command(vm, o.command))
	case o.stdio != "":
		return f.Remote.StdioForward(ctx, vm, run, o.stdio)
	case o.noShell:
		return f.Remote.Hold(ctx, vm, run, forwards)
	case o.again:
		return f.Remote.LastingSession(ctx, vm, run, forwards)
	}
	return f.Remote.Session(ctx, vm, run, forwards)
}

// parse turns flags into a session.
func (o sshOptions) parse(env *Env) (remote.RunOptions, []remote.ForwardSpec, error) {
	run := remote.RunOptions{
		Command: strings.Join(o.command, " "), Stdin: env.Streams.In, Stdout: env.Streams.Out, Stderr: env.Streams.Err,
		NoStdin: o.noStdin, Term: env.Getenv("TERM"), Env: remote.LocaleEnv(os.Environ()), Quiet: env.Streams.Quiet(),
		OnRaw: env.setRestore,
	}
	if o.again && (len(o.command) > 0 || o.noTTY || o.noStdin || o.noShell || o.stdio != "" || o.print ||
		o.tty < 2 && !remote.IsTerminal(run.Stdin)) {
		return run, nil, usageError("--reconnect is for a shell on a terminal", "a command, or input from elsewhere, might be taken twice",
			"leave the command out, and run it in the shell")
	}
	switch {
	case o.noTTY:
		run.TTY = remote.TTYNever
	case o.tty > 1:
		run.TTY = remote.TTYForce
	case o.tty == 1:
		run.TTY = remote.TTYRequest
	}
	if o.agent {
		run.AgentSocket = env.Getenv("SSH_AUTH_SOCK")
		if run.AgentSocket == "" {
			return run, nil, usageError("-A needs a running ssh-agent", "SSH_AUTH_SOCK is not set", "start one with: eval $(ssh-agent)")
		}
	}
	switch escape := []rune(o.escape); {
	case o.escape == "none":
		run.Escape = remote.NoEscape
	case len(escape) == 1:
		run.Escape = escape[0]
	default:
		return run, nil, usageError("-e needs one character or none", "", "for example: -e none")
	}
	forwards, err := o.forwards()
	return run, forwards, err
}

func (o sshOptions) forwards() ([]remote.ForwardSpec, error) {
	var out []remote.ForwardSpec
	for _, group := range []struct {
		kind  remote.ForwardKind
		flag  string
		specs []string
	}{{remote.ForwardLocal, "-L", o.local}, {remote.ForwardRemote, "-R", o.remote}, {remote.ForwardDynamic, "-D", o.dynamic}} {
		for _, s := range group.specs {
			spec, err := remote.ParseForward(group.kind, s)
			if err != nil {
				return nil, &problem.Error{Kind: problem.Usage, What: "wrong " + group.flag, Why: err.Error(), Origin: problem.OriginLocal,
					Next: "write it as [BIND:]PORT:HOST:PORT", Err: err}
			}
			out = append(out, spec)
		}
	}
	if len(out) == 0 && o.noShell {
		return nil, usageError("-N without -L, -R or -D does nothing", "", "add a forwarding")
	}
	return out, nil
}
