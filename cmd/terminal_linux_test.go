package cmd

import (
	"context"
	"syscall"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// Whatever ends the program but SIGKILL, the terminal is as it was.
func TestTerminalAfterSignal(t *testing.T) {
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	env := simEnv(t, s)
	for signal, code := range map[syscall.Signal]int{
		syscall.SIGTERM: exitInterrupted, syscall.SIGHUP: exitInterrupted, syscall.SIGINT: exitInterrupted, syscall.SIGQUIT: exitSSH,
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
