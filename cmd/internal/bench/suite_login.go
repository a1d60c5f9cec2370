package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// loginSuite times "true" on one VM.
func loginSuite(ctx context.Context, r *rig, out io.Writer) error {
	for _, rtt := range r.o.rtts {
		way, err := r.road(ctx, rtt)
		if err != nil {
			return err
		}
		if err := r.loginTable(ctx, way, out); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) loginTable(ctx context.Context, way *road, out io.Writer) error {
	control := filepath.Join(r.dir, "control")
	stop, masterErr := r.master(ctx, way, control)
	defer stop()
	defer r.sim.ClearFaults()
	up := func() error { r.sim.ClearFaults(); return nil }
	down := func() error { return r.sim.SetFault(sim.Fault{Kind: "503"}) }
	vm, master, cold := r.vms[0], r.overMaster(way, control), r.ours(way, "off")
	err := r.loginRace(ctx, fmt.Sprintf("ssh VM -- true, %v", way), []*entry{
		{result: result{name: "OpenSSH through openssl s_client", err: missing([]string{"ssh", "openssl"})},
			run: always(func() *exec.Cmd { return exec.Command("ssh", "-n", "-F", way.config, vm.Name, "true") })},
		{result: result{name: "OpenSSH, warm ControlMaster", floor: true, err: masterErr}, run: always(master)},
		{result: result{name: "bare Go x/crypto/ssh", floor: true},
			run: always(func() *exec.Cmd { return exec.Command(self(), innerArgs(loginCommand, way, vm)...) })},
		{result: result{name: "vers-fleet ssh", ours: true, err: r.noBin}, before: up, run: always(cold)},
		{result: result{name: "vers-fleet ssh, API answers 503", ours: true, err: r.noBin}, before: down, run: always(cold)},
	}, out)
	if err != nil {
		return err
	}
	warm, warmErr := r.ours(way, keepFor), r.noBin
	if warmErr == nil {
		warmErr = warmUp(ctx, warm)
	}
	return r.loginRace(ctx, fmt.Sprintf("ssh VM -- true over an open connection, %v", way), []*entry{
		{result: result{name: "OpenSSH, warm ControlMaster", reuses: true, err: masterErr}, run: always(master)},
		{result: result{name: "vers-fleet ssh, warm", ours: true, reuses: true, err: warmErr}, before: down, run: always(warm)},
	}, out)
}

// ours runs vers-fleet with this setting of ssh.share.
func (r *rig) ours(way *road, share string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(r.binary, "ssh", r.vms[0].Name, "--", "true")
		cmd.Env = append(slices.Clip(way.env), "VERS_FLEET_SSH_SHARE="+share)
		return cmd
	}
}

func (r *rig) overMaster(way *road, control string) func() *exec.Cmd {
	return func() *exec.Cmd {
		return exec.Command("ssh", "-n", "-F", way.config, "-o", "ControlPath="+control, r.vms[0].Name, "true")
	}
}

func (r *rig) loginRace(ctx context.Context, title string, all []*entry, out io.Writer) error {
	t := &table{title: title, about: "process start to process end"}
	for _, e := range all {
		if e.factor = 1; r.o.wanted(e.name) {
			t.entries = append(t.entries, e)
		}
	}
	return r.measure(ctx, t, r.o.logins, out)
}

// keepFor outlasts a table, and ends soon after it.
const keepFor = "2m"

// warmUp runs the command until it borrows a connection instead of making one.
func warmUp(ctx context.Context, command func() *exec.Cmd) error {
	for range 100 {
		cmd := command()
		cmd.Args = append([]string{cmd.Args[0], "-v"}, cmd.Args[1:]...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, lastLine(string(out)))
		}
		if strings.Contains(string(out), "using the shared connection") {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("no connection is shared")
}

func always(command func() *exec.Cmd) func(context.Context) (*exec.Cmd, error) {
	return func(context.Context) (*exec.Cmd, error) { return command(), nil }
}

// master opens the connection that ControlMaster sessions share.
func (r *rig) master(ctx context.Context, way *road, control string) (stop func(), err error) {
	vm := r.vms[0]
	cmd := exec.CommandContext(ctx, "ssh", "-F", way.config, "-M", "-N", "-o", "ControlPath="+control, vm.Name)
	if err := cmd.Start(); err != nil {
		return func() {}, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed: its status says nothing
		_ = os.Remove(control)
	}
	for range 200 {
		check := exec.CommandContext(ctx, "ssh", "-F", way.config, "-O", "check", "-o", "ControlPath="+control, vm.Name)
		if err = check.Run(); err == nil || ctx.Err() != nil {
			return stop, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return stop, fmt.Errorf("no ControlMaster: %w", err)
}
