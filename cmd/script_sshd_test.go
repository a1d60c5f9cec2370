package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshdtest"
)

// TestRealOpenSSH runs testdata/sshd/*.txtar: the main stories against real
// sshd processes behind a TLS front. The scripts have, beyond testscript's own:
//
//	api up|down        the REST API answers, or answers 503 to everything
//	vm restart NAME    restarts a VM's sshd
//	vm drop NAME       kills its open sessions
//	vm rekey NAME      gives it a new host key
//
// and $HOME_OF_<name> for each VM's home folder on this machine.
func TestRealOpenSSH(t *testing.T) { testOpenSSH(t, "sshd") }

// TestPullRealOpenSSH is the same for testdata/sshdpull: what pull and push
// promise, with VMs of their own. See scriptWire for the command wire.
func TestPullRealOpenSSH(t *testing.T) { testOpenSSH(t, "sshdpull") }

func testOpenSSH(t *testing.T, scripts string) {
	if os.Geteuid() != 0 {
		t.Skip("not root: sshd lets only the current user in, and vers-fleet logs in as root")
	}
	variants := map[string]sshdtest.Options{
		"gnu":     {},
		"nosftp":  {SFTP: sshdtest.SFTPNone},
		"busybox": {ForceBusybox: true},
	}
	for name, options := range variants {
		t.Run(name, func(t *testing.T) { runSSHDScripts(t, scripts, options) })
	}
}

func runSSHDScripts(t *testing.T, scripts string, options sshdtest.Options) {
	vms := sshdtest.StartFleetWith(t, 4, options)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", scripts),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("VERS_FLEET_SSH_SHARE", "off")
			for _, kv := range vms.Env(filepath.Join(home, "state")) {
				k, v, _ := strings.Cut(kv, "=")
				env.Setenv(k, v)
			}
			for _, vm := range vms.VMs {
				env.Setenv("HOME_OF_"+strings.ReplaceAll(vm.Name, "-", "_"), vm.HomeDir)
			}
			w, err := newWire(vms.Gateway.Addr)
			if err != nil {
				return err
			}
			env.Defer(func() { _ = w.l.Close() })
			env.Values[wireKey{}] = w
			env.Setenv("VERS_FLEET_VM_GATEWAY", w.l.Addr().String())
			vms.API.SetDown(false)
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit": scriptExit,
			"same": scriptSame,
			"wire": scriptWire,
			"api":  func(ts *testscript.TestScript, _ bool, args []string) { vms.API.SetDown(args[0] == "down") },
			"vm":   func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(vmDo(vms, args[0], args[1])) },
		},
	})
}

func vmDo(vms *sshdtest.Fleet, verb, name string) error {
	vm := vms.VM(name)
	switch verb {
	case "drop":
		vm.DropSessions()
		return nil
	case "rekey":
		return vm.RotateHostKey(context.Background())
	default:
		return vm.Restart(context.Background())
	}
}
