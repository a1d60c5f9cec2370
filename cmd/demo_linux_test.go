package cmd

import (
	"os"
	"strings"
	"testing"
)

// The demo waits for its reader on a terminal, ends when told to, and runs
// through without one that answers, or where CI is set.
func TestDemoWaitsForReader(t *testing.T) {
	env := []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "TERM=xterm"}
	p := sit(t, env, "demo")
	p.sees("[Enter: next step]")
	if shown := p.shown(); !strings.Contains(shown, "vers-fleet vms") || strings.Contains(shown, "03:20 UTC") {
		t.Errorf("shown at the first stop: %s", shown)
	}
	p.types("\r")
	p.sees("03:20 UTC")
	p.sees("[Enter: next step]")
	p.types("\x04") // Ctrl-D
	p.sees("story took")
	p.exits(exitOK)

	p = sit(t, env, "demo")
	p.sees("[Enter: next step]")
	p.types("\x03") // Ctrl-C
	p.exits(exitInterrupted)

	p = sit(t, append(env, "CI=1"), "demo")
	p.sees("story took")
	p.exits(exitOK)
	if strings.Contains(p.shown(), "[Enter") {
		t.Error("waits although CI is set")
	}
}
