package cmd

import (
	"context"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A passphrase may be mistyped twice, also where stderr is redirected; then it is
// one line and 9, whatever number of keys it would have opened. Ctrl-C ends it.
func TestPassphraseTries(t *testing.T) {
	t.Parallel()
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	env := simEnv(t, s)
	p := sit(t, env, "vms")
	p.sees("marketing")
	p.exits(exitOK)
	p = sit(t, env, "keys", "encrypt")
	p.sees("New passphrase")
	p.types("\x03")
	p.sees("vers-fleet: interrupted")
	p.exits(exitInterrupted)
	p = sit(t, env, "keys", "encrypt")
	p.sees("New passphrase")
	p.types("open\r")
	p.sees("Again:")
	p.types("open\r")
	p.exits(exitOK)

	p = sit(t, env, "exec", "--all", "--", "true")
	p.sees("Passphrase of the keystore")
	p.types("wrong\r")
	p.sees("That is not it")
	p.types("open\r")
	p.exits(exitOK)

	for _, args := range [][]string{{"exec", "--all", "--", "true"}, {"pull", "--all", t.TempDir()}, {"output", "--all", "--status"}} {
		p = sit(t, env, args...)
		p.sees("Passphrase of the keystore")
		p.types("\x03")
		p.exits(exitInterrupted)
		if out := p.shown(); strings.Contains(out, "warning:") || strings.Count(out, "vers-fleet: interrupted") != 1 {
			t.Errorf("%s: told of each VM: %s", args[0], out)
		}
	}

	p = sit(t, env, "exec", "--all", "--", "true")
	for range 3 {
		p.sees("Passphrase of the keystore")
		p.types("wrong\r")
	}
	p.sees("wrong 3 times")
	p.exits(exitStorage)
	if n := strings.Count(p.shown(), "3 times"); n != 1 {
		t.Errorf("told %d times: %s", n, p.shown())
	}
}
