package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

func newDemoCommand(env *Env) *cobra.Command {
	var vms string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Live through the outage of 2026-02-24, without an account",
		Long: `Starts a simulated platform and runs this program through the story of the
outage: the fleet is listed, the API goes to 503, and the finished work comes
home all the same. At the end what was pulled is compared, file by file, with
what is on the VMs. Nothing is left behind. On a terminal it waits for Enter
between the steps; with --no-progress, or where CI is set, it does not.`,
		Example: "  vers-fleet demo\n  vers-fleet demo --vms sshd",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), env, sim.Guest(vms)) },
	}
	addVMsFlag(c, &vms)
	return about(c, groupTool, "has an API of its own", exitOK)
}

// demo is one run of the story.
type demo struct {
	env  *Env
	sim  *sim.Sim
	dir  string // current folder of the commands, and their HOME
	self string

	unread bool          // something was shown since the last pause
	hasty  bool          // no more pauses
	paused time.Duration // how long the reader took
}

func runDemo(ctx context.Context, env *Env, vms sim.Guest) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "vers-fleet-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := startSim(ctx, env, sim.Config{Guest: vms})
	if err != nil {
		return err
	}
	defer s.Close()
	d := &demo{env: env, sim: s, dir: dir, self: self}
	began := time.Now()
	if err := d.story(ctx); err != nil {
		return err
	}
	files, err := d.check()
	if err != nil {
		return err
	}
	checked := fmt.Sprintf("Checked: all %d files of the fleet's workspaces are here, byte for byte, though the API was down when they were fetched. The story took %s.",
		files, (time.Since(began) - d.paused).Round(100*time.Millisecond))
	d.say("\n%s", ui.Wrap(checked, helpWidth))
	return nil
}

// demoStep is something that is said, that happens, and a command that is run.
type demoStep struct {
	say  string
	do   func() error
	args string
	exit int
}

// story tells what happened on 2026-02-24, as it would go today.
func (d *demo) story(ctx context.Context) error {
	for _, s := range []demoStep{
		{say: "A fleet of twelve VMs, six of them lieutenants at work. Listing it records inventory and keys.", args: "vms"},
		{say: "The marketing lieutenant finishes its images and goes idle.", do: func() error { return d.sim.Finish("marketing") }},
		{say: "03:20 UTC: the REST API answers 503 to everything.", do: func() error { return d.sim.SetFault(sim.Fault{Kind: "503"}) }},
		{say: "The fleet can still be listed, from the cache.", args: "vms"},
		{say: "The VM itself is alive, and its key is here.", args: "ssh marketing -- ls -l /root/workspace"},
		{say: "Bring the finished work home, then everything else.", args: "pull marketing"},
		{args: "pull --all ./rescue"},
		{say: "A snapshot needs the API. It is refused honestly, or waits until the API is back.", args: "commit marketing", exit: exitUnavailable},
		{args: "commit marketing --queue --name images-done", exit: exitQueued},
		{say: "What is known, and what to do now:", args: "status"},
		{say: "The API returns.", do: func() error { d.sim.ClearFaults(); return nil }},
		{say: "The queued snapshot is taken, once.", args: "queue run --wait=30s"},
		{args: "vms --live -o name"},
	} {
		if err := d.step(ctx, s); err != nil {
			return err
		}
	}
	if n := len(d.sim.Commits()); n != 1 {
		return demoError("the platform has %d snapshots of the one that was asked for", n)
	}
	return nil
}

func (d *demo) step(ctx context.Context, s demoStep) error {
	if s.say != "" {
		if err := d.pause(ctx); err != nil {
			return err
		}
		d.say("\n# %s", strings.ReplaceAll(ui.Wrap(s.say, helpWidth-2), "\n", "\n# "))
	}
	if s.do != nil {
		if err := s.do(); err != nil {
			return err
		}
	}
	if s.args == "" {
		return nil
	}
	return d.run(ctx, s.args, s.exit)
}

// pause waits for Enter when a person watches and there is something to read.
// The end of their input (Ctrl-D) lets the rest run through.
func (d *demo) pause(ctx context.Context) error {
	s := d.env.Streams
	if !d.unread || d.hasty || !s.OutTerminal() || !s.Moving() || !s.CanAsk() {
		return nil
	}
	began := time.Now()
	_, err := s.Ask(ctx, "\n[Enter: next step]", "")
	d.paused += time.Since(began)
	d.unread = false
	if d.hasty = errors.Is(err, ui.ErrNotTerminal); d.hasty {
		return nil
	}
	return err
}

// run shows a command and runs the real binary with it.
func (d *demo) run(ctx context.Context, args string, want int) error {
	d.unread = true
	st := d.env.Streams.OutStyle()
	if err := writeText(d.env.Streams.Out, st.Apply(ui.Strong, "$ vers-fleet "+args)+"\n"); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, d.self, strings.Fields(args)...)
	c.Dir, c.Stdout, c.Stderr = d.dir, d.env.Streams.Out, d.env.Streams.Err
	if f := d.env.Streams.OutFile(); f != nil {
		c.Stdout = f // a terminal stays one
	}
	if f := d.env.Streams.ErrFile(); f != nil {
		c.Stderr = f
	}
	c.Env = append([]string{"HOME=" + d.dir, "PATH=" + d.env.Getenv("PATH"), "TERM=" + d.env.Getenv("TERM"),
		"NO_COLOR=" + d.env.Getenv("NO_COLOR"), "CI=" + d.env.Getenv("CI"), "VERS_FLEET_RETRY_MAX_ELAPSED=2s",
		"VERS_FLEET_SSH_SHARE=off"}, d.sim.Env()...)
	err := c.Run()
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		return err
	}
	if got != want {
		return demoError("vers-fleet %s ended with status %d instead of %d", args, got, want)
	}
	if want != 0 {
		d.say("(exit status %d)", got)
	}
	return ctx.Err()
}

// check compares every workspace on the VMs with what was pulled.
func (d *demo) check() (files int, err error) {
	for _, vm := range d.sim.VMs() {
		source := filepath.Join(vm.Root(), "root", "workspace")
		n, err := sameTree(source, filepath.Join(d.dir, "rescue", vm.Name(), "workspace"))
		if err != nil {
			return 0, demoError("%s: %v", vm.Name(), err)
		}
		files += n
	}
	n, err := sameTree(filepath.Join(d.sim.VM("marketing").Root(), "root", "workspace"), filepath.Join(d.dir, "marketing", "workspace"))
	if err != nil || n == 0 {
		return 0, demoError("marketing: %d files compared: %v", n, err)
	}
	return files, nil
}

func (d *demo) say(format string, args ...any) {
	_ = writeText(d.env.Streams.Out, fmt.Sprintf(format, args...)+"\n")
}

// demoError means that the demo shows a defect.
func demoError(format string, args ...any) error {
	return &problem.Error{Kind: problem.Unexpected, What: "the demo failed", Why: fmt.Sprintf(format, args...), Origin: problem.OriginLocal,
		Next: "this is a defect of vers-fleet; please report it"}
}
