package cmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

type simOptions struct {
	vms   string
	count int
	dir   string
	addr  string
	seed  int64
	plain bool
}

func newSimCommand(env *Env) *cobra.Command {
	var o simOptions
	c := &cobra.Command{
		Use:   "sim [-- CMD...]",
		Short: "Run a simulated platform to rehearse on",
		Long: `Runs the Vers platform in one process on loopback: the REST API, and VMs
reachable by SSH inside TLS, six of them lieutenants at work. It prints lines
that a shell can eval, then runs until it is interrupted. Faults are switched
with vers-fleet sim fault. With -- CMD it runs CMD with those variables set, and
ends with it and with its status.

With --vms box commands inside a VM are interpreted and never touch this
machine; what the interpreter does not know is refused. With --vms sshd each VM
is a real OpenSSH server: that needs Linux, root and an installed sshd. Such a
VM has /root, /tmp and processes of its own, but it is no sandbox: all else that
its commands see and change is this machine.`,
		Example: `  vers-fleet sim > env.sh &        # in one terminal
  . ./env.sh && vers-fleet vms     # in another
  vers-fleet sim fault 503
  vers-fleet sim fault off
  vers-fleet sim --vms sshd > env.sh &
  vers-fleet sim -- sh -c 'vers-fleet vms && vers-fleet drill'`,
		Args: func(c *cobra.Command, args []string) error {
			if c.ArgsLenAtDash() > 0 || c.ArgsLenAtDash() < 0 && len(args) > 0 {
				return usageError("sim takes a command behind -- alone", "got "+safe.Clean(args[0]), "see: vers-fleet sim --help")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return runSim(c.Context(), env, o, args) },
	}
	f := c.Flags()
	addVMsFlag(c, &o.vms)
	f.IntVar(&o.count, "count", 12, "run `N` VMs, at least 6")
	f.StringVar(&o.dir, "dir", "", "`FOLDER` for the VMs' files, kept afterwards (default: a temporary one)")
	f.StringVar(&o.addr, "addr", "127.0.0.1:0", "loopback `ADDRESS` of the API")
	f.Int64Var(&o.seed, "seed", 0, "make ids and keys repeatable: the same for the same `N`")
	f.BoolVar(&o.plain, "unlabelled", false, "lieutenants without labels, as the agent extension makes them; their names are in its file")
	c.AddCommand(newSimFaultCommand(env), newSimDoCommand(env), newSimStatusCommand(env))
	return about(c, groupTool, "has an API of its own", exitOK)
}

// addVMsFlag adds the choice of the kind of VM.
func addVMsFlag(c *cobra.Command, vms *string) {
	c.Flags().StringVar(vms, "vms", string(sim.GuestBox), "`KIND` of VM: box, portable, or sshd, a real OpenSSH server")
	completeFlag(c, "vms", []string{string(sim.GuestBox), string(sim.GuestSSHD)})
}

func startSim(ctx context.Context, env *Env, cfg sim.Config) (*sim.Sim, error) {
	s, err := sim.Start(ctx, cfg)
	if err != nil {
		return nil, usageError("the simulator cannot start", err.Error(), "see what it needs: vers-fleet sim --help")
	}
	if cfg.Guest != sim.GuestSSHD {
		return s, nil
	}
	env.Streams.Notef("commands in these VMs are real: they run as root on this machine")
	if err := s.Boot(); err != nil {
		return nil, simError(errors.Join(err, s.Close()))
	}
	return s, nil
}

func runSim(ctx context.Context, env *Env, o simOptions, command []string) error {
	s, err := startSim(ctx, env, sim.Config{Guest: sim.Guest(o.vms), VMs: o.count, Dir: o.dir, Addr: o.addr, Seed: o.seed, Unlabelled: o.plain, Logf: env.Streams.Debugf})
	if err != nil {
		return err
	}
	defer s.Close()
	// A home of its own keeps simulated keys out of the real keystore; no process outlives a rehearsal.
	vars := append(s.Env(), "VERS_FLEET_HOME="+filepath.Join(s.Dir(), "home"), "VERS_FLEET_SSH_SHARE=off")
	if len(command) > 0 {
		return runInSim(ctx, env, command, vars)
	}
	for _, kv := range vars {
		k, v, _ := strings.Cut(kv, "=")
		if err := printLine(env, "export "+k+"='"+strings.ReplaceAll(v, "'", `'\''`)+"'"); err != nil {
			return err
		}
	}
	env.Streams.Notef("%d VMs at %s; stop with Ctrl-C or: vers-fleet sim do stop", len(s.VMs()), s.BaseURL())
	<-s.Done()
	return nil
}

// runInSim runs a command of this machine on the simulated platform. Its status
// is the result.
func runInSim(ctx context.Context, env *Env, command, vars []string) error {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = append(os.Environ(), vars...)
	c.Stdin, c.Stdout, c.Stderr = env.Streams.In, env.Streams.Out, env.Streams.Err
	if out, err := env.Streams.OutFile(), env.Streams.ErrFile(); out != nil && err != nil {
		c.Stdout, c.Stderr = out, err // themselves, so that a terminal is one for the command too
	}
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return commandStatus(exit.ExitCode())
	case err != nil:
		return &problem.Error{Kind: problem.NotFound, What: "cannot run " + command[0], Why: err.Error(), Origin: problem.OriginLocal, Err: err}
	}
	return nil
}

func newSimFaultCommand(env *Env) *cobra.Command {
	var f sim.Fault
	c := &cobra.Command{
		Use:   "fault FAULT",
		Short: "Make the simulated platform misbehave",
		Long: `Switches a fault of the running simulator (VERS_FLEET_SIM) on; off ends all.
FAULT is a status from 400 to 599, or one of these, of the API and of the VM
gateway:

` + faultTable(),
		Example: `  vers-fleet sim fault 503 --retry-after 20
  vers-fleet sim fault flaky=0.3
  vers-fleet sim fault hang --endpoint ssh_key
  vers-fleet sim fault gateway-down --vm marketing
  vers-fleet sim fault off`,
		Args: argCount(1, 1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			names := []cobra.Completion{"off", "503"}
			for _, k := range sim.FaultKinds() {
				names = append(names, cobra.CompletionWithDesc(k.Name(), k.Help()))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error { return runSimFault(c.Context(), env, f, args[0]) },
	}
	c.Flags().AddFlagSet(f.Flags())
	return about(c, "", "works", exitOK)
}

// faultTable lists all faults for the help.
func faultTable() string {
	var b strings.Builder
	for _, k := range sim.FaultKinds() {
		fmt.Fprintf(&b, "    %-17s  %s\n", k.Name(), k.Help())
	}
	return strings.TrimRight(b.String(), "\n")
}

func runSimFault(ctx context.Context, env *Env, f sim.Fault, kind string) error {
	control, err := simControl(env)
	if err != nil {
		return err
	}
	if err := f.SetKind(kind); err != nil {
		return usageError("that is no fault", err.Error(), "see: vers-fleet sim fault --help")
	}
	return simError(control.SetFault(ctx, f))
}

// simControl steers the simulator that the environment names.
func simControl(env *Env) (*sim.Control, error) {
	url := env.Getenv("VERS_FLEET_SIM")
	if url == "" {
		return nil, usageError("no simulator is known", "VERS_FLEET_SIM is not set", "start one and eval what it prints: vers-fleet sim > env.sh &")
	}
	control, err := sim.NewControl(url)
	if err != nil {
		return nil, usageError("no simulator is known", err.Error(), "eval what it prints: vers-fleet sim > env.sh &")
	}
	return control, nil
}

// simError is trouble with the simulator, not with the platform.
func simError(err error) error {
	if err == nil {
		return nil
	}
	return &problem.Error{Kind: problem.Unexpected, What: "the simulator did not do it", Why: err.Error(), Origin: problem.OriginLocal,
		Next: "see what there is, and whether it still runs: vers-fleet sim status", Err: err}
}

func newSimDoCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "do ACTION [VM]",
		Short: "Make something happen on the simulated platform",
		Long: `Makes something happen. To a VM: pause, resume, kill, reap (deleted, with all
that is in it), rotate-key, rotate-host-key. To everything: cut (drop every SSH
connection), empty-names (the agent extension takes its VMs for gone and empties
its list of them), write-names (it writes them again), stop (end the simulator).
To the lieutenant on a VM:
` + deedHelp(),
		Example: "  vers-fleet sim do finish marketing\n  vers-fleet sim do ask marketing\n  vers-fleet sim do stop",
		Args:    argCount(1, 2),
		ValidArgsFunction: func(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return completeVMs(env, 0)(c, args, word)
			}
			actions := strings.Fields("pause resume kill reap rotate-key rotate-host-key cut empty-names write-names stop")
			return append(slices.Sorted(maps.Keys(sim.Deeds())), actions...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error { return runSimDo(c.Context(), env, args) },
	}
	return about(c, "", "works", exitOK)
}

// deedHelp lists what can be made to happen to a lieutenant.
func deedHelp() string {
	var b strings.Builder
	deeds := sim.Deeds()
	for _, deed := range slices.Sorted(maps.Keys(deeds)) {
		fmt.Fprintf(&b, "  %-11s %s\n", deed, deeds[deed])
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func runSimDo(ctx context.Context, env *Env, args []string) error {
	control, err := simControl(env)
	if err != nil {
		return err
	}
	onVM := map[string]func(string) error{
		"pause":           func(vm string) error { return control.SetVMState(ctx, vm, sim.StatePaused) },
		"resume":          func(vm string) error { return control.SetVMState(ctx, vm, sim.StateRunning) },
		"kill":            func(vm string) error { return control.SetVMState(ctx, vm, sim.StateDead) },
		"reap":            func(vm string) error { return control.Reap(ctx, vm) },
		"rotate-key":      func(vm string) error { return control.RotateKey(ctx, vm) },
		"rotate-host-key": func(vm string) error { return control.RotateHostKey(ctx, vm) },
	}
	for deed := range sim.Deeds() {
		onVM[deed] = func(vm string) error { return control.Deed(ctx, vm, deed) }
	}
	switch do, known := onVM[args[0]]; {
	case known && len(args) == 2:
		return simError(do(args[1]))
	case known:
		return usageError("sim do "+args[0]+" needs a VM", "", "for example: vers-fleet sim do "+args[0]+" marketing")
	case args[0] == "cut" && len(args) == 1:
		return simError(control.Cut(ctx))
	case (args[0] == "empty-names" || args[0] == "write-names") && len(args) == 1:
		return simError(control.WriteNames(ctx, args[0] == "empty-names"))
	case args[0] == "stop" && len(args) == 1:
		return simError(control.Stop(ctx))
	}
	return usageError(fmt.Sprintf("the simulator cannot %q", safe.Clean(strings.Join(args, " "))), "", "see: vers-fleet sim do --help")
}

func newSimStatusCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show the simulated platform as it is",
		Long:    "Shows the simulator's VMs, faults and commits.",
		Example: "  vers-fleet sim status -o json",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runSimStatus(c.Context(), env) },
	}
	return about(c, "", "works", exitOK)
}

func runSimStatus(ctx context.Context, env *Env) error {
	control, err := simControl(env)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	s, err := control.Status(ctx)
	if err != nil {
		return simError(err)
	}
	return ui.Value{JSON: s, Name: s.BaseURL, Text: func(t *ui.Text) {
		t.Field("API", ui.Normal, "%s (%d calls)", s.BaseURL, s.Calls)
		for _, f := range s.Faults {
			t.Field("Fault", ui.Bad, "%s %s", f.Kind, f.Endpoint)
		}
		t.Field("Commits", ui.Normal, "%d", len(s.Commits))
		var rows [][]string
		for _, vm := range s.VMs {
			rows = append(rows, []string{vm.Name, vm.Role, vm.State, vm.ID})
		}
		t.Rows([]string{"VM", "ROLE", "STATE", "ID"}, rows)
	}}.Print(env.Streams, env.Format())
}
