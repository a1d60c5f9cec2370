package remote_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A ~/.ssh/config that is a link into a dotfiles folder stays a link, also
// when its target does not exist yet.
func TestSSHConfigLinkStaysALink(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	for _, there := range []bool{true, false} {
		home := t.TempDir()
		link, target := filepath.Join(home, ".ssh", "config"), filepath.Join(home, "dotfiles", "ssh", "config")
		for _, dir := range []string{filepath.Dir(link), filepath.Dir(target)} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if there {
			if err := os.WriteFile(target, []byte("Host a\n  User b\n"), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("../dotfiles/ssh/config", link); err != nil {
			t.Fatal(err)
		}
		f := w.Open(func(o *fleet.Options) { o.UserHome = home })
		for range 2 {
			if _, _, err := f.OpenSSH.Install(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("target there %t: the link is gone", there)
		}
		text, err := os.ReadFile(target)
		if err != nil || strings.Count(string(text), "Include ") != 1 || !strings.HasPrefix(string(text), "Include ") {
			t.Errorf("target there %t: %q, %v", there, text, err)
		}
		if err := f.OpenSSH.Uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text, _ = os.ReadFile(target); strings.Contains(string(text), "vers-fleet") || there != strings.Contains(string(text), "Host a") {
			t.Errorf("uninstalled: %q", text)
		}
	}
}

// Whatever the folder is called and whoever named the VMs, OpenSSH reads what
// was meant.
func TestOpenSSHReadsTheConfig(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, folder := range []string{"plain", "with space", "a%h#b", "x #y", `quo"te`, "it's", `back\slash`, "star*[a]?"} {
		w := fleettest.New(t, 6)
		w.Home = filepath.Join(t.TempDir(), folder)
		w.Options.Home = w.Home
		for n, name := range []string{"ok", "*", "a b", "x\"y", "# c", "!no", "%h", "vers,*"} {
			if n < 6 {
				w.Sim.VMs()[n].SetLabels(map[string]string{"name": name})
			}
		}
		fleettest.RecordAll(t, w)
		user := t.TempDir()
		f := w.Open(func(o *fleet.Options) { o.UserHome = user })
		if _, _, err := f.OpenSSH.Install(t.Context()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(user, ".ssh", "config"))
		if err != nil {
			t.Fatal(err)
		}
		main := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(main, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for host, id := range map[string]string{"vers-ok": w.Sim.VMs()[0].ID(), "vers-" + sim.MarketingID: sim.MarketingID} {
			out, err := exec.Command(ssh, "-F", main, "-G", host).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v: %s", folder, err, out)
			}
			got := string(out)
			for _, want := range []string{"\nhostkeyalias " + id + ".vm.vers.sh\n", "\nuser root\n",
				"\nidentityfile " + strings.ReplaceAll(filepath.Join(w.Home, "default", "keys", id, "id"), "%", "%%") + "\n"} {
				if !strings.Contains(got, want) {
					t.Errorf("folder %q, host %s: no %q in\n%s", folder, host, want, fleettest.Grep(got, "hostkeyalias", "user ", "identityfile"))
				}
			}
		}
		if out, err := exec.Command(ssh, "-F", main, "-G", "example.org").CombinedOutput(); err != nil || strings.Contains(string(out), "proxycommand") {
			t.Errorf("folder %q: a VM's name catches other hosts: %v\n%s", folder, err, fleettest.Grep(string(out), "proxycommand"))
		}
	}
}

// Profiles that install at once take turns: none loses another's line, and the
// person's own text stays. What is right already is left alone.
func TestSSHConfigManyInstall(t *testing.T) {
	w := fleettest.New(t, 6)
	home := t.TempDir()
	config := filepath.Join(home, ".ssh", "config")
	const own = "# mine\n\nHost a\n\tUser b # c\n"
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	const profiles = 12
	all := func(do func(*fleet.Fleet) error) {
		t.Helper()
		var group sync.WaitGroup
		for n := range profiles {
			f := w.Open(func(o *fleet.Options) { o.UserHome, o.Profile = home, fmt.Sprintf("p%d", n) })
			group.Go(func() {
				if err := do(f); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	install := func(f *fleet.Fleet) error { _, _, err := f.OpenSSH.Install(t.Context()); return err }
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	all(install)
	text := read()
	if got := strings.Count(text, "Include "); got != profiles || !strings.HasSuffix(text, own) {
		t.Errorf("%d of %d lines:\n%s", got, profiles, text)
	}
	before, err := os.Stat(config)
	if err != nil {
		t.Fatal(err)
	}
	all(install)
	if after, err := os.Stat(config); err != nil || !os.SameFile(before, after) {
		t.Errorf("written again although nothing changes: %v", err)
	}
	all(func(f *fleet.Fleet) error { return f.OpenSSH.Uninstall(t.Context()) })
	if text := read(); text != own {
		t.Errorf("uninstalled: %q", text)
	}
}

// VMs may be called anything: the entries for OpenSSH hold no name that it, or a
// shell that completes hosts, would take for more than a name, and every VM is
// reached by its id.
func TestSSHConfigOfFuzzedNames(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	names := manyNames()
	w := fleettest.NewOf(t, sim.Config{VMs: len(names), Seed: 1, Still: true, Guest: sim.GuestBox})
	for i, vm := range w.Sim.VMs() {
		vm.SetLabels(map[string]string{"name": names[i]})
	}
	fleettest.RecordAll(t, w)
	text, n, err := w.Open(fleettest.Offline).OpenSSH.Config()
	if err != nil || n != len(names) {
		t.Fatalf("%d entries: %v", n, err)
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if hosts, ok := strings.CutPrefix(line, "Host "); ok && (strings.ContainsAny(hosts, "*?!%\"'\\$`;&|<>(){}[]~#^,\t\r") || strings.ContainsFunc(strings.TrimSpace(hosts), safe.Hidden)) {
			t.Errorf("hosts %q", hosts)
		}
	}
	for _, vm := range w.Sim.VMs() {
		out, err := exec.Command(ssh, "-F", file, "-G", "vers-"+vm.ID()).CombinedOutput()
		if want := "\nhostname " + vm.ID() + ".vm.vers.sh\n"; err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", vm.ID(), err, fleettest.Grep(string(out), "hostname"))
		}
	}
}
