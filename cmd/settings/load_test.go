package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever layers say something about a key, the highest wins, and the origin
// names the one whose value holds.
func TestPrecedence(t *testing.T) {
	for _, k := range Keys() {
		if k.Name == "profile" {
			continue // it chooses a layer; see the scripts
		}
		sources := []string{"file", "profile"}
		for _, name := range k.Foreign {
			sources = append([]string{name}, sources...)
		}
		sources = append(sources, k.Variable())
		if k.Flag != "" {
			sources = append(sources, k.Flag)
		}
		for set := range 1 << len(sources) {
			checkPrecedence(t, k, sources, set)
		}
	}
}

// checkPrecedence sets the sources whose bits are set. Foreign variables stand
// first among them, the weakest first, although a file yields to them.
func checkPrecedence(t *testing.T, k Key, sources []string, set int) {
	t.Helper()
	has := func(name string) bool {
		for i, s := range sources {
			if s == name && set&(1<<i) != 0 {
				return true
			}
		}
		return false
	}
	value := func(source string) string {
		return "https://" + strings.ToLower(strings.ReplaceAll(source, "_", "-")) + ".example"
	}
	top, below, vars, flags := "x: y", "z: y", map[string]string{}, []string(nil)
	if has("file") {
		top = fmt.Sprintf("%s: %s", k.Name, value("file"))
	}
	if has("profile") {
		below = fmt.Sprintf("%s: %s", k.Name, value("profile"))
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "%s\nprofiles:\n  p:\n    %s\n", top, below), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{k.Variable()}, k.Foreign...) {
		if has(name) {
			vars[name] = value(name)
		}
	}
	flags = append(flags, "--config="+config, "--profile=p")
	if k.Flag != "" && has(k.Flag) {
		flags = append(flags, "--"+k.Flag+"="+value(k.Flag))
	}
	s, err := load(t, vars, flags...)
	if err != nil {
		t.Fatal(err)
	}
	want, origin := k.fallback(), "default"
	if has("file") {
		want, origin = value("file"), config+" line 1"
	}
	if !has("profile") { // other clients' variables yield to it
		for i := len(k.Foreign) - 1; i >= 0; i-- {
			if name := k.Foreign[i]; has(name) {
				want, origin = value(name), "environment "+name
				if name == versURL {
					want += "/api/v1"
				}
			}
		}
	} else {
		want, origin = value("profile"), config+" line 4, profile p"
	}
	if has(k.Variable()) {
		want, origin = value(k.Variable()), "environment "+k.Variable()
	}
	if k.Flag != "" && has(k.Flag) {
		want, origin = value(k.Flag), "flag --"+k.Flag
	}
	if got, from := s.layers.text(k.Name); got != want || from.text != origin {
		t.Errorf("%s with %b of %v: %q from %q, want %q from %q", k.Name, set, sources, got, from.text, want, origin)
	}
}

// A byte order mark, or UTF-16 as PowerShell writes it, hides nothing.
func TestEncodings(t *testing.T) {
	utf16 := func(s string) string {
		out := "\xff\xfe"
		for _, c := range s {
			out += string([]byte{byte(c), 0})
		}
		return out
	}
	for name, enc := range map[string]func(string) string{
		"plain": func(s string) string { return s }, "BOM": func(s string) string { return "\ufeff" + s }, "UTF-16": utf16,
	} {
		home := t.TempDir()
		for path, text := range map[string]string{
			".config/vers-fleet/config.yaml": "vm_domain: vm.example\r\n", ".versrc": `{"apiKey": "from-versrc"}`,
		} {
			path = filepath.Join(home, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(enc(text)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := load(t, map[string]string{"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config")})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if key, err := s.APIKey(t.Context()); key != "from-versrc" || s.VMDomain != "vm.example" {
			t.Errorf("%s: API key %q (%v), vm_domain %q", name, key, err, s.VMDomain)
		}
	}
}

// What another program is given names no secret and needs nothing else.
func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	vars := map[string]string{"HOME": home, "XDG_CONFIG_HOME": "", "VERS_FLEET_TLS_CA": "ca.pem", "VERS_BASE_URL": "https://x.example",
		"VERS_API_KEY": "secret", "VERS_FLEET_REGISTRY_TOKEN": "secret", "VERS_FLEET_API_KEY_COMMAND": "echo secret", "VERS_FLEET_PULL_PATHS": "/x"}
	s, err := load(t, vars)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Environment()
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"HOME=" + home, "VERS_FLEET_API_URL=https://x.example", "VERS_FLEET_TLS_CA=" + filepath.Join(here, "ca.pem"),
		"VERS_FLEET_HOME=" + filepath.Join(home, ".local", "share", "vers-fleet")}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
