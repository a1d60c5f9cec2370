package cmd

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// TestRealOpenSSH runs testdata/sshd/*.txtar: the main stories on VMs that are
// real sshd processes. Each script has a platform of its own, which the command
// sim steers, and $HOME_OF_<name> for each VM's home folder on this machine.
func TestRealOpenSSH(t *testing.T) {
	t.Parallel()
	testOpenSSH(t, "sshd")
}

// TestPullRealOpenSSH is the same for testdata/sshdpull: what pull and push
// promise. See scriptWire for the command wire.
func TestPullRealOpenSSH(t *testing.T) {
	t.Parallel()
	testOpenSSH(t, "sshdpull")
}

func testOpenSSH(t *testing.T, scripts string) {
	for name, o := range map[string]sshd.Options{"gnu": {}, "nosftp": {NoSFTP: true}, "busybox": {Busybox: true}} {
		if err := sshd.Check(t.Context(), o); err != nil {
			simtest.Missing(t, err)
		}
		t.Run(name, func(t *testing.T) {
			if name != "gnu" {
				long(t)
			}
			t.Parallel()
			p := scriptParams(sim.GuestSSHD)
			p.Dir = filepath.Join("testdata", scripts)
			p.Cmds["wire"] = scriptWire
			setup := p.Setup
			p.Setup = func(env *testscript.Env) error {
				if err := setup(env); err != nil {
					return err
				}
				return setUpOpenSSH(env, o)
			}
			testscript.Run(t, p)
		})
	}
}

func setUpOpenSSH(env *testscript.Env, o sshd.Options) error {
	s, err := sim.Start(context.Background(), sim.Config{Guest: sim.GuestSSHD, SSHD: o, Still: true})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = s.Close() })
	*env.Values[simKey{}].(**sim.Sim) = s
	w, err := newWire(s.Gateway())
	if err != nil {
		return err
	}
	env.Defer(func() { _ = w.l.Close() })
	env.Values[wireKey{}] = w
	for _, kv := range s.Env() {
		k, v, _ := strings.Cut(kv, "=")
		env.Setenv(k, v)
	}
	env.Setenv("VERS_FLEET_SSH_SHARE", "off")
	env.Setenv("VERS_FLEET_VM_GATEWAY", w.l.Addr().String())
	for _, name := range []string{"chad-dev", "chad-fix", "infra-ui", "marketing"} {
		server, err := s.VM(name).OpenSSH()
		if err != nil {
			return err
		}
		env.Setenv("HOME_OF_"+strings.ReplaceAll(name, "-", "_"), server.HomeDir)
	}
	return nil
}

// TestOutageOnOpenSSH runs the outage stories of testdata/script on VMs that
// are real sshd processes. VERS_FLEET_TEST_VMS=sshd does so with all scripts.
func TestOutageOnOpenSSH(t *testing.T) {
	long(t)
	t.Parallel()
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*outage.txtar"))
	if err != nil || len(files) < 3 {
		t.Fatalf("outage stories: %q, %v", files, err)
	}
	p := scriptParams(sim.GuestSSHD)
	p.Files = append(files, filepath.Join("testdata", "script", "demo.txtar"))
	testscript.Run(t, p)
}
