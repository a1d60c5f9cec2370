package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// The API key is asked for first and hidden, a mistyped one is corrected at once,
// what looks like a key is no command, a later command replaces the key, and the
// end of input says what happened.
func TestConfigInit(t *testing.T) {
	t.Parallel()
	s, err := sim.Start(context.Background(), sim.Config{VMs: 6, Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	env := simEnv(t, s)
	path := filepath.Join(t.TempDir(), "config.yaml")
	for i, kv := range env {
		if strings.HasPrefix(kv, "VERS_API_KEY=") || strings.HasPrefix(kv, "VERS_FLEET_API_KEY=") {
			env[i] = "NOTHING="
		}
	}
	env = append(env, "VERS_FLEET_CONFIG="+path)
	holds := func(want, not string) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), want) || strings.Contains(string(data), not) {
			t.Errorf("the file must hold %q and not %q: %v", want, not, err)
		}
	}
	wrong := strings.Repeat("ab", 50)
	p := sit(t, env, "config", "init")
	p.sees("API key (not shown")
	p.types("\r")
	p.sees("Command that prints the API key")
	p.types(wrong + "\r")
	p.sees("looks like an API key")
	p.sees("API key (not shown")
	p.types(wrong + "\r")
	p.sees("Base URL of the API")
	p.types("\r")
	p.sees("the API key was refused")
	p.sees("Another API key")
	p.types(s.APIKey() + "\r")
	p.sees("the API answers and knows 6 VMs")
	p.exits(exitOK)
	holds("api_key: "+s.APIKey(), wrong)

	p = sit(t, env, "config", "init")
	p.sees("Another API key")
	p.types("\r")
	p.sees("Command that prints the API key")
	p.types("echo " + s.APIKey() + "\r")
	p.sees("Base URL of the API")
	p.types("\r")
	p.sees("the API answers")
	p.exits(exitOK)
	holds("api_key_command: echo", "api_key: ")

	p = sit(t, env, "config", "init")
	p.sees("Another API key")
	p.types("\x04")
	p.sees("config init was ended before it was done")
	p.exits(exitInterrupted)
}
