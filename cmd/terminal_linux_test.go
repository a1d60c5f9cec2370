package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// Whatever ends the program but SIGKILL, the terminal is as it was.
func TestTerminalAfterSignal(t *testing.T) {
	t.Parallel()
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	env := simEnv(t, s)
	for signal, code := range map[syscall.Signal]int{
		syscall.SIGTERM: exitInterrupted, syscall.SIGHUP: exitInterrupted, syscall.SIGINT: exitInterrupted, syscall.SIGQUIT: exitInterrupted,
	} {
		t.Run(signal.String(), func(t *testing.T) {
			p := sit(t, env, "ssh", "marketing")
			p.types("printf '\\033[?1049h'; echo on''e\r")
			p.sees("one\r\n")
			if !p.raw() {
				t.Error("not in raw mode")
			}
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			p.sees("\x1b[?1049l")
			p.exits(code)
			if p.raw() {
				t.Error("the terminal is still raw")
			}
		})
	}
}

// The escape ends a session as it ends OpenSSH's: 255, and no error is shown.
func TestEscapeEndsSession(t *testing.T) {
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := sit(t, simEnv(t, s), "ssh", "marketing")
	p.sees("#")
	p.types("\r~.")
	p.sees("Connection to marketing closed.")
	p.exits(exitSSH)
	if out := p.shown(); strings.Contains(out, "\nvers-fleet:") {
		t.Errorf("an error is shown: %q", out)
	}
}

// Ctrl-\ ends the program as Ctrl-C does, without Go's stacks.
func TestQuitShowsNoStack(t *testing.T) {
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := sit(t, simEnv(t, s), "exec", "marketing", "--", "echo be''gun; sleep 60")
	p.sees("begun")
	p.types("\x1c")
	p.exits(exitInterrupted)
	if out := p.shown(); strings.Contains(out, "goroutine") || !strings.Contains(out, "interrupted") {
		t.Errorf("shown: %q", out)
	}
}

// While the API is awaited a spinner turns in one line, however narrow the
// terminal, and is gone when the answer is there.
func TestSpinnerOfAWait(t *testing.T) {
	t.Parallel()
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	env := simEnv(t, s)
	if err := s.SetFault(sim.Fault{Kind: "latency", Latency: 3 * time.Second}); err != nil {
		t.Fatal(err)
	}
	p := sit(t, env, "vms", "--no-sync")
	if err := pty.Setsize(p.ptmx, &pty.Winsize{Rows: 24, Cols: 30}); err != nil {
		t.Fatal(err)
	}
	p.sees("waiting for")
	p.sees("waiting for")
	p.sees("\r\x1b[J")
	p.sees("chad-dev")
	p.exits(exitOK)
	if out := p.shown(); strings.Contains(out, "\x1b[F") || strings.Contains(out, "\x1b[?25l") || strings.LastIndex(out, "waiting for") > strings.LastIndex(out, "\r\x1b[J") {
		t.Errorf("lines above are erased, the cursor is hidden or the spinner stays: %q", out)
	}
}

// A DEST that looks like a path on the VM is asked about.
func TestPullAsksAboutDest(t *testing.T) {
	t.Parallel()
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	env := simEnv(t, s)
	dest := filepath.Join(t.TempDir(), "workspace")
	env = append(env, "VERS_FLEET_PULL_PATHS="+dest)
	p := sit(t, env, "pull", "marketing", dest)
	p.sees("Make it on this machine, and pull into it? [y/N]")
	p.types("n\r")
	p.sees("pull marketing:" + dest)
	p.exits(exitInterrupted)
	if _, err := os.Stat(dest); err == nil {
		t.Error("the folder was made")
	}
	p = sit(t, env, "pull", "marketing", dest)
	p.types("y\r")
	p.sees("no such file or folder on the VM")
	p.exits(exitNotFound)
}
