package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
)

// OpenSSH hands a ProxyCommand to the person's own shell, whichever that is, and
// what ssh --print prints is pasted into it: both mean the same in all, whatever
// the folders are called.
func TestOpenSSHInEveryShell(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestBox})
	dir := filepath.Join(t.TempDir(), `it's "a" \ $(touch HERE) !x ~ %h {a,b} ; #`)
	env := append(simEnv(t, s), "VERS_FLEET_HOME="+dir)
	run := func(c *exec.Cmd, shell string) string {
		t.Helper()
		c.Env, c.Dir = append(env, "SHELL="+shell), t.TempDir()
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %q: %v", shell, c.Args, err)
		}
		if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %q ran a name: %v %v", shell, c.Args, left, err)
		}
		return string(out)
	}
	run(exec.Command("vers-fleet", "keys", "sync"), "/bin/sh")
	conf := filepath.Join(t.TempDir(), "config")
	write(t, conf, run(exec.Command("vers-fleet", "ssh-config"), "/bin/sh"))
	printed := run(exec.Command("vers-fleet", "ssh", "--print", "marketing", "--", `echo "it's" '!x' \\`), "/bin/sh")
	for _, shell := range []string{"bash", "dash", "busybox", "fish", "tcsh", "zsh"} {
		path, err := exec.LookPath(shell)
		if _, sshErr := exec.LookPath("ssh"); err != nil || sshErr != nil {
			if os.Getenv("CI") == "true" {
				t.Errorf("CI=true needs %s and ssh", shell)
			}
			t.Logf("left out: %s", shell)
			continue
		}
		c := exec.Command(path, "-c", printed)
		if shell == "busybox" {
			c, path = exec.Command(path, "sh", "-c", printed), "/bin/sh" // a path alone is no shell
		}
		if got := run(exec.Command("ssh", "-F", conf, "vers-marketing", "echo reached"), path); got != "reached\n" {
			t.Errorf("%s: ssh says %q", shell, got)
		}
		if got := run(c, path); got != "it's !x \\\n" {
			t.Errorf("%s: ssh --print says %q", shell, got)
		}
	}
}
