package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
)

// TestMain lets the test binary be vers-fleet itself when a script runs it. Keys
// are then derived from passphrases in milliseconds instead of a second.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vers-fleet": func() {
		env := systemEnv()
		env.scrypt = 10
		os.Exit(mainWith(env))
	}})
}

// never is how long a test waits for what should come at once: a busy machine
// may take its time, and decides nothing.
const never = 2 * time.Minute

// long leaves a test out of a -short run, which is for finding data races: at work
// are shells and the programs of VMs rather than goroutines of ours.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out by -short: make test runs it")
	}
}

// TestScript runs testdata/script/*.txtar, each in a folder and with a home of
// its own. Beyond testscript's commands there are:
//
//	exit CODE CMD ARGS...   CMD must end with exactly this exit code
//	same WANT GOT           the trees must hold the same files, links and folders
//	sim VERB ARGS...        a simulated platform, see script_sim_test.go
//
// the condition [root], and $VMS, the kind of the platform's VMs.
//
// UPDATE_SCRIPTS=1 rewrites the files that cmp compares with.
func TestScript(t *testing.T) {
	t.Parallel()
	p := scriptParams(simtest.Guest())
	p.Dir = filepath.Join("testdata", "script")
	p.UpdateScripts = os.Getenv("UPDATE_SCRIPTS") != ""
	testscript.Run(t, p)
}

// scriptParams is what scripts are run with; sim starts VMs of this kind.
func scriptParams(guest sim.Guest) testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("USERPROFILE", home)
			env.Setenv("GORACE", "atexit_sleep_ms=10") // a race-enabled process would sleep a second at its end
			env.Setenv("ESC", "\x1b]0;evil\a")         // what a script cannot write
			env.Setenv("VMS", string(cmp.Or(guest, sim.GuestBox)))
			env.Values[simKey{}] = new(*sim.Sim)
			env.Values[frontKey{}] = new(*front)
			return os.MkdirAll(home, 0o700)
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":  scriptExit,
			"same":  scriptSame,
			"sim":   scriptSim,
			"share": scriptShare,
		},
	}
}

func scriptExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE CMD ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		got = ee.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same WANT GOT")
	}
	n, err := sameTree(ts.MkAbs(args[0]), ts.MkAbs(args[1]))
	if neg == (err == nil && n > 0) {
		ts.Fatalf("%s and %s: %d files compared: %v", args[0], args[1], n, err)
	}
}

// TestScriptTools makes sure that no script is left out where all must run.
func TestScriptTools(t *testing.T) {
	for _, tool := range []string{"ssh", "scp", "sftp", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "" {
			t.Errorf("CI must have %s: %v", tool, err)
		} else if err != nil {
			t.Logf("scripts that need %s are left out", tool)
		}
	}
}
