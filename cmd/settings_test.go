package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// testEnv is an Env over buffers with the given variables.
func testEnv(t *testing.T, vars map[string]string) (*Env, ui.Buffers) {
	t.Helper()
	s, b := ui.Fake(false, 0)
	return NewEnv(s, func(k string) string { return vars[k] }, nil), b
}

func TestAPIKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are for sh")
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".versrc"), []byte(`{"apiKey": "from-versrc"}`), 0o600); err != nil {
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
			e, _ := testEnv(t, c.vars)
			s, err := e.Settings()
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
			if v, _ := view(err); strings.Contains(v.Message+v.Why+v.Next, canary) {
				t.Errorf("the key is in the error: %+v", v)
			}
		})
	}
}

func TestAPIKeyCommandEndsWithContext(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for sh")
	}
	e, _ := testEnv(t, map[string]string{"VERS_FLEET_API_KEY_COMMAND": "sleep 100"})
	s, err := e.Settings()
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

func TestModes(t *testing.T) {
	for _, c := range []struct {
		args []string
		mode fleet.Mode
		wait time.Duration
	}{
		{nil, fleet.Auto, 0},
		{[]string{"--offline"}, fleet.Offline, 0},
		{[]string{"--live"}, fleet.Live, 0},
		{[]string{"--wait"}, fleet.Wait, 0},
		{[]string{"--wait=90s"}, fleet.Wait, 90 * time.Second},
	} {
		e, _ := testEnv(t, nil)
		e.Args = append([]string{"version"}, c.args...)
		if code := Run(t.Context(), e); code != exitOK {
			t.Fatalf("%v: exit code %d", c.args, code)
		}
		if mode, wait := e.Mode(); mode != c.mode || wait != c.wait {
			t.Errorf("%v: mode %v for %v", c.args, mode, wait)
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

// Every setting and exit code is in the documentation.
func TestDocumentationIsComplete(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	configuration, codes := read("configuration.md"), read("exit-codes.md")
	for _, k := range settingKeys() {
		for _, word := range append(k.env, k.name, k.variable()) {
			if !strings.Contains(configuration, "`"+word+"`") {
				t.Errorf("docs/configuration.md does not mention %s", word)
			}
		}
		if k.def != "" && !strings.Contains(configuration, "`"+k.def+"`") {
			t.Errorf("docs/configuration.md does not mention the default %s of %s", k.def, k.name)
		}
	}
	for _, m := range exitTable() {
		if !strings.Contains(codes, m.meaning) {
			t.Errorf("docs/exit-codes.md does not say %d: %s", m.code, m.meaning)
		}
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"vmz": "vms", "statsu": "status", "xyzzy": "", "": "", "api_ulr": "api_url", "vsm": "vms"} {
		if got := nearest(word, []string{"sim", "vms", "status", "pull", "api_url", "api_key"}); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
