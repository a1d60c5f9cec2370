package fleet_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A ~/.ssh/config that is a link into a dotfiles folder stays a link, also
// when its target does not exist yet.
func TestSSHConfigLinkStaysALink(t *testing.T) {
	w := newWorld(t, 6)
	record(t, w)
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
		f := w.open(func(o *fleet.Options) { o.UserHome = home })
		for range 2 {
			if _, _, err := f.InstallSSHConfig(); err != nil {
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
		if err := f.UninstallSSHConfig(); err != nil {
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
		w := newWorld(t, 6)
		w.home = filepath.Join(t.TempDir(), folder)
		w.o.Home = w.home
		for n, name := range []string{"ok", "*", "a b", "x\"y", "# c", "!no", "%h", "vers,*"} {
			if n < 6 {
				w.sim.VMs()[n].SetLabels(map[string]string{"name": name})
			}
		}
		recordAll(t, w)
		user := t.TempDir()
		f := w.open(func(o *fleet.Options) { o.UserHome = user })
		if _, _, err := f.InstallSSHConfig(); err != nil {
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
		for host, id := range map[string]string{"vers-ok": w.sim.VMs()[0].ID(), "vers-" + sim.MarketingID: sim.MarketingID} {
			out, err := exec.Command(ssh, "-F", main, "-G", host).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v: %s", folder, err, out)
			}
			got := string(out)
			for _, want := range []string{"\nhostkeyalias " + id + ".vm.vers.sh\n", "\nuser root\n",
				"\nidentityfile " + strings.ReplaceAll(filepath.Join(w.home, "default", "keys", id, "id"), "%", "%%") + "\n"} {
				if !strings.Contains(got, want) {
					t.Errorf("folder %q, host %s: no %q in\n%s", folder, host, want, grep(got, "hostkeyalias", "user ", "identityfile"))
				}
			}
		}
		if out, err := exec.Command(ssh, "-F", main, "-G", "example.org").CombinedOutput(); err != nil || strings.Contains(string(out), "proxycommand") {
			t.Errorf("folder %q: a VM's name catches other hosts: %v\n%s", folder, err, grep(string(out), "proxycommand"))
		}
	}
}

func recordAll(t *testing.T, w *world) {
	t.Helper()
	if _, err := w.open().List(t.Context(), fleet.ListOptions{}); err != nil {
		t.Fatal(err)
	}
}

func grep(text string, words ...string) string {
	var out []string
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.HasPrefix(line, w) {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "")
}
