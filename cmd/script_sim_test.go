package cmd

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// simKey is where a script keeps its simulator.
type simKey struct{}

// scriptSim serves the script command sim:
//
//	sim start [VMS]        starts a platform and points the program at it; with
//	                       "unlabelled" behind VMS its lieutenants have no labels
//	sim fault ARGS...      as `vers-fleet sim fault ARGS...`; "off" ends all
//	sim calls [ENDPOINT] N exactly N API calls so far (to an endpoint)
//	sim calls [ENDPOINT] max N
//	sim reset-calls        counts from 0 again
//	sim logins VM [max] N  so many SSH logins at the VM so far
//	sim commits N          exactly N snapshots exist
//	sim state VM STATE     running, paused, sleeping, dead
//	sim delete VM          the VM is gone, with all that was in it
//	sim rotate-key VM      the API hands out another key
//	sim share-key VM OTHER the VM has the login key of the other
//	sim rotate-host VM     the VM has another host key
//	sim restart VM         the VM's SSH server starts again
//	sim drop VM            kills the VM's open sessions
//	sim finish VM          lets a lieutenant finish its work
//	sim do DEED VM         what vers-fleet sim do makes happen to a lieutenant
//	sim root VM            sets $ROOT to the VM's folder on this machine
//	sim cut                resets every open SSH connection
//	sim log                writes the API calls so far into the test's log
//	sim forget             the program forgets what it knows of the API's health
//	sim front              puts a proxy before the API that can be told to lie
//	sim answer EP FILE     the proxy answers calls of EP with FILE; "off" ends it
//	sim label VM KEY VAL   the VM gets a label
//	sim save-key VM FILE   writes the VM's private key, as another client would
//	sim stop
func scriptSim(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: sim VERB ARGS...")
	}
	if args[0] == "start" {
		scriptSimStart(ts, args[1:])
		return
	}
	s, ok := ts.Value(simKey{}).(**sim.Sim)
	if !ok || *s == nil {
		ts.Fatalf("sim %s: no simulator was started", args[0])
	}
	if args[0] == "stop" {
		ts.Check((*s).Close())
		*s = nil
		return
	}
	ts.Check(simVerb(ts, *s, args[0], args[1:]))
}

func scriptSimStart(ts *testscript.TestScript, args []string) {
	cfg := sim.Config{Seed: 1, Still: true, Guest: sim.Guest(ts.Getenv("VMS"))}
	if cfg.Unlabelled = slices.Contains(args, "unlabelled"); cfg.Unlabelled {
		args = args[:1]
	}
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		cfg.VMs = n
	}
	s, err := sim.Start(context.Background(), cfg)
	ts.Check(err)
	ts.Defer(func() { _ = s.Close() })
	if cfg.Guest == sim.GuestSSHD {
		ts.Check(s.Boot())
	}
	for _, kv := range s.Env() {
		k, v, _ := strings.Cut(kv, "=")
		ts.Setenv(k, v)
	}
	p, ok := ts.Value(simKey{}).(**sim.Sim)
	if !ok {
		ts.Fatalf("the script's setup prepared no place for a simulator")
	}
	*p = s
	ts.Setenv("VERS_FLEET_SSH_SHARE", "off") // each command connects by itself
	ts.Setenv("HOST_URL", s.HostURL())
	ts.Setenv("VERS_FLEET_RETRY_MAX_ELAPSED", "1s") // no script waits as long as a person would
}

func simVerb(ts *testscript.TestScript, s *sim.Sim, verb string, args []string) error {
	switch verb {
	case "reset-calls":
		s.ResetCalls()
		for _, vm := range s.VMs() {
			vm.ResetLogins()
		}
		return nil
	case "cut":
		s.CutConnections()
		return nil
	case "forget":
		files, err := filepath.Glob(filepath.Join(ts.Getenv("HOME"), ".local/share/vers-fleet/*/health-*"))
		for _, f := range files {
			ts.Check(os.Remove(f))
		}
		return err
	case "front":
		return startFront(ts, s)
	case "log":
		for _, c := range s.Calls() {
			ts.Logf("%s %s: %d", c.Method, c.Path, c.Status)
		}
		return nil
	}
	if len(args) == 0 {
		ts.Fatalf("sim %s needs arguments", verb)
	}
	switch verb {
	case "fault":
		f, err := sim.ParseFault(args)
		if err != nil {
			return err
		}
		return s.SetFault(f)
	case "calls":
		return countCalls(ts, s.Calls(), args)
	case "commits":
		return count(ts, "commits", len(s.Commits()), args)
	case "finish":
		return s.Finish(args[0])
	case "do":
		return s.Deed(args[1], args[0])
	case "answer":
		return frontAnswer(ts, args)
	default:
		return vmVerb(ts, s, verb, args)
	}
}

func countCalls(ts *testscript.TestScript, calls []sim.Call, args []string) error {
	what := "API calls"
	if _, err := strconv.Atoi(args[0]); err != nil && args[0] != "max" {
		what = "calls of " + args[0]
		calls = slices.DeleteFunc(calls, func(c sim.Call) bool { return c.Endpoint != args[0] })
		args = args[1:]
	}
	return count(ts, what, len(calls), args)
}

func count(ts *testscript.TestScript, what string, got int, args []string) error {
	atMost := args[0] == "max"
	want, err := strconv.Atoi(args[len(args)-1])
	if err == nil && (got > want || !atMost && got != want) {
		ts.Fatalf("%d %s, want %s", got, what, strings.Join(args, " "))
	}
	return err
}

func vmVerb(ts *testscript.TestScript, s *sim.Sim, verb string, args []string) error {
	vm := s.VM(args[0])
	if vm == nil {
		ts.Fatalf("sim %s: no VM %q", verb, args[0])
	}
	switch verb {
	case "state":
		return vm.SetState(args[len(args)-1])
	case "logins":
		return count(ts, "logins at "+vm.Name(), vm.Logins(), args[1:])
	case "delete":
		return vm.Delete()
	case "rotate-key":
		return vm.RotateKey()
	case "share-key":
		return vm.ShareKey(s.VM(args[1]))
	case "rotate-host":
		return vm.RotateHostKey()
	case "restart":
		return vm.Restart()
	case "drop":
		return vm.DropSessions()
	case "root":
		ts.Setenv("ROOT", vm.Root())
	case "save-key":
		key, err := vm.PrivateKey()
		ts.Check(err)
		return os.WriteFile(ts.MkAbs(args[1]), key, 0o600)
	case "label":
		vm.SetLabels(map[string]string{args[1]: args[2]})
	default:
		ts.Fatalf("unknown verb: sim %s", verb)
	}
	return nil
}
