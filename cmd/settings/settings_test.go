package settings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// load is the settings with these variables and no others of ours.
func load(t *testing.T, vars map[string]string, flags ...string) (*Settings, error) {
	t.Helper()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "VERS_") || strings.HasPrefix(name, "XDG_") || strings.HasPrefix(name, "SSL_") || slices.Contains([]string{"HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "CI"}, name) {
			t.Setenv(name, "")
		}
	}
	for name, value := range vars {
		t.Setenv(name, value)
	}
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	for _, name := range []string{"profile", "config", "api-url"} {
		set.String(name, "", "")
	}
	if err := set.Parse(flags); err != nil {
		t.Fatal(err)
	}
	return Load(Source{Flags: set})
}

func TestAPIKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are for sh")
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".versrc"), []byte(`{"apiKey": "from-versrc"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := filepath.Join(t.TempDir(), "agent")
	if err := errors.Join(os.MkdirAll(filepath.Join(agent, "..", "vers"), 0o700), os.WriteFile(filepath.Join(agent, "..", "vers", "keys.json"), []byte(`{"keys":{"VERS_API_KEY":"from-agent"}}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	const canary = "c4n4ry"
	for _, c := range []struct {
		name string
		vars map[string]string
		want string
		why  string // part of the error
	}{
		{"none", nil, "", "none is set for profile default"},
		{"versrc", map[string]string{"HOME": home}, "from-versrc", ""},
		{"agent's keys", map[string]string{"HOME": t.TempDir(), "PI_CODING_AGENT_DIR": agent}, "from-agent", ""},
		{"its own home", map[string]string{"HOME": t.TempDir(), "VERS_HOME": filepath.Join(filepath.Dir(agent), "vers")}, "from-agent", ""},
		{"another profile", map[string]string{"HOME": home, "VERS_FLEET_PROFILE": "p"}, "", "none is set for profile p"},
		{"variable", map[string]string{"HOME": home, "VERS_API_KEY": "a"}, "a", ""},
		{"own variable", map[string]string{"VERS_API_KEY": "a", "VERS_FLEET_API_KEY": " b\n"}, "b", ""},
		{"command", map[string]string{"VERS_FLEET_API_KEY_COMMAND": "echo ' key '"}, "key", ""},
		{"key before command", map[string]string{"VERS_FLEET_API_KEY": "k", "VERS_FLEET_API_KEY_COMMAND": "exit 1"}, "k", ""},
		{"command before another client's variable", map[string]string{"VERS_API_KEY": "k", "VERS_FLEET_API_KEY_COMMAND": "echo c"}, "c", ""},
		{"failing command", map[string]string{"VERS_FLEET_API_KEY_COMMAND": "echo " + canary + "; exit 3"}, "", "exit status 3"},
		{"silent command", map[string]string{"VERS_FLEET_API_KEY_COMMAND": "true"}, "", "it printed nothing"},
		{"two lines", map[string]string{"VERS_FLEET_API_KEY_COMMAND": "echo " + canary + "; echo x"}, "", "blanks or control characters"},
		{"pipe held open", map[string]string{"VERS_FLEET_API_KEY_COMMAND": "echo key; sleep 100 &"}, "key", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := load(t, c.vars)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.APIKey(t.Context())
			if c.why == "" {
				if got != c.want || err != nil {
					t.Errorf("got %q, %v; want %q", got, err, c.want)
				}
				return
			}
			var fe *problem.Error
			if !errors.As(err, &fe) || fe.Kind != problem.Auth || !strings.Contains(fe.Why, c.why) {
				t.Errorf("got %q, %#v; want kind auth and %q", got, err, c.why)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, *fe), canary) {
				t.Errorf("the key is in the error: %+v", *fe)
			}
		})
	}
}

func TestAPIKeyCommandEndsWithContext(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for sh")
	}
	s, err := load(t, map[string]string{"VERS_FLEET_API_KEY_COMMAND": "sleep 100"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if _, err := s.APIKey(ctx); !errors.Is(err, context.Canceled) || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestShownKey(t *testing.T) {
	for key, want := range map[string]string{
		"11111111-2222-3333-4444-555555555555" + strings.Repeat("ab", 32): "11111111-2222-3333-4444-555555555555…",
		"11111111-2222-3333-4444-555555555555":                            "(set)",
		strings.Repeat("ab", 50):                                          "(set)",
		"short":                                                           "(set)",
	} {
		if got := shownKey(key); got != want {
			t.Errorf("%q is shown as %q, want %q", key, got, want)
		}
	}
}

func TestValidHost(t *testing.T) {
	for host, want := range map[string]bool{
		"vm.vers.sh": true, "a": true, "a-b.c_d": true, "": false, ".": false, "a..b": false, "-a.b": false,
		"a b": false, "a/b": false, "a:1": false, strings.Repeat("a", 64): false, "é.example": false,
	} {
		if got := validHost(host); got != want {
			t.Errorf("validHost(%q) = %v", host, got)
		}
	}
}

// The table of docs/configuration.md is the table of settings.
func TestDocumentedTable(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := func(words ...string) string {
		if words[0] == "" {
			return ""
		}
		return "`" + strings.Join(words, "`, `") + "`"
	}
	want := "| key | variables | default | meaning |\n|---|---|---|---|\n"
	for _, k := range Keys() {
		want += strings.ReplaceAll(fmt.Sprintf("| %s | %s | %s | %s |\n", code(k.Name), code(append([]string{k.Variable()}, k.Foreign...)...), code(k.Default), k.Help), "|  |", "| |")
	}
	if !strings.Contains(string(b), want) {
		t.Errorf("docs/configuration.md does not hold this table:\n%s", want)
	}
}
