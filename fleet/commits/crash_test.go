package commits_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/retry"
)

// commitChild is the variable that turns the test binary into a process that
// commits one VM: "HOME BASE_URL API_KEY VM_ID QUEUE".
const commitChild = "VERS_FLEET_TEST_COMMIT"

func TestMain(m *testing.M) {
	if spec := os.Getenv(commitChild); spec != "" {
		os.Exit(runCommitChild(strings.Fields(spec)))
	}
	m.Run()
}

func runCommitChild(spec []string) int {
	f, err := fleet.Open(fleet.Options{Home: spec[0],
		API: api.Config{BaseURL: spec[1], APIKey: func(context.Context) (string, error) { return spec[2], nil },
			Timeouts: api.Timeouts{Action: 300 * time.Millisecond}},
		Retry: retry.Policy{Base: time.Millisecond, Cap: 5 * time.Millisecond, MaxElapsed: 30 * time.Millisecond}})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	r, err := f.Commits.Commit(context.Background(), inventory.VM{ID: spec[3]}, commits.Request{Queue: spec[4] == "true"})
	_, _ = fmt.Fprintln(os.Stdout, r.Status, r.CommitID, err)
	return 0
}

// commitRun is what one child said: a status, or "" when it was killed.
type commitRun struct{ status, id, vm string }

// startCommit runs a child and kills it after a random time, or not at all.
func startCommit(t *testing.T, w *fleettest.World, vm *sim.VM, queue bool) commitRun {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %s %t", commitChild, w.Home, w.Sim.BaseURL(), w.Sim.APIKey(), vm.ID(), queue))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if rand.N(2) == 0 {
		time.AfterFunc(rand.N(60*time.Millisecond), func() { _ = c.Process.Kill() })
	}
	run := commitRun{vm: vm.ID()}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 1 {
			run.status, run.id = f[0], f[1]
		}
	}
	_ = c.Wait()
	return run
}

// Whatever happens to the request or the process, an acknowledged commit is
// exactly one snapshot, and none that was asked for vanishes.
func TestCommitsSurviveFaultsAndKills(t *testing.T) {
	runs := 25
	if os.Getenv("VERS_FLEET_TORTURE") != "" {
		runs = 1000
	}
	w := fleettest.New(t, 6)
	vms := w.Sim.VMs()
	faults := []sim.Fault{{}, {Kind: "reset"}, {Kind: "reset-after"}, {Kind: "503-after"}, {Kind: "503"},
		{Kind: "truncated"}, {Kind: "hang", Count: 1}}
	asked := map[string]string{} // commit id -> VM id, of every intent seen
	settled := map[string]string{}
	for n := range runs {
		w.Sim.ClearFaults()
		w.Forget() // a known outage would keep the requests, and so the faults, from happening
		if f := faults[rand.N(len(faults))]; f.Kind != "" {
			f.Every = 1 + rand.N(2)
			w.Fault(f)
		}
		run := startCommit(t, w, vms[n%len(vms)], rand.N(2) == 0)
		if run.id != "" {
			asked[run.id] = run.vm
			settled[run.id] = run.status
		}
		noteQueue(t, w, asked)
		noteSilent(t, w, run, asked, settled)
		if n%5 == 4 {
			w.Sim.ClearFaults()
			runQueue(t, w, settled)
		}
	}
	w.Sim.ClearFaults()
	runQueue(t, w, settled, fleettest.Later)
	checkCommits(t, w, asked, settled)
}

func noteQueue(t *testing.T, w *fleettest.World, asked map[string]string) {
	t.Helper()
	items, err := w.Open().Commits.Queue()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		asked[i.CommitID] = i.VMID
	}
}

// noteSilent finds the commit of a process that was killed after it had the
// API's word and before it could say so: one snapshot of its VM, no intent left.
func noteSilent(t *testing.T, w *fleettest.World, run commitRun, asked, settled map[string]string) {
	t.Helper()
	for _, c := range w.Sim.Commits() {
		if asked[c.ID] != "" {
			continue
		}
		if run.id != "" || c.VM != run.vm {
			t.Errorf("snapshot %s of VM %s was never asked for", c.ID, c.VM)
		}
		asked[c.ID], settled[c.ID] = c.VM, commits.StatusCommitted
		run.id = c.ID // one process, one snapshot
	}
}

func runQueue(t *testing.T, w *fleettest.World, settled map[string]string, when ...func(*fleet.Options)) {
	t.Helper()
	w.Forget() // nor is there a reason to wait for the next probe
	f := w.Open(append(when, func(o *fleet.Options) { o.Mode, o.WaitFor = outage.Wait, time.Minute })...)
	results, err := f.Commits.RunQueue(t.Context())
	for _, r := range results {
		settled[r.CommitID] = r.Status
	}
	if kind := problem.KindOf(err); err != nil && kind != problem.Unavailable && kind != problem.Queued {
		t.Fatalf("queue run: %v", err)
	}
}

// checkCommits compares the platform's record with what the tool said.
func checkCommits(t *testing.T, w *fleettest.World, asked, settled map[string]string) {
	t.Helper()
	taken := map[string]int{}
	for _, c := range w.Sim.Commits() {
		taken[c.ID]++
		if asked[c.ID] != c.VM {
			t.Errorf("snapshot %s is of VM %s, asked for %q", c.ID, c.VM, asked[c.ID])
		}
	}
	waiting := map[string]bool{}
	items, err := w.Open().Commits.Queue()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		waiting[i.CommitID] = true
	}
	for id := range asked {
		switch status := settled[id]; {
		case status == commits.StatusCommitted && taken[id] != 1:
			t.Errorf("commit %s was acknowledged and has %d snapshots", id, taken[id])
		case status == commits.StatusFailed && taken[id] != 0:
			t.Errorf("commit %s was reported as failed and has %d snapshots", id, taken[id])
		case status != commits.StatusCommitted && status != commits.StatusFailed && !waiting[id]:
			t.Errorf("commit %s vanished (last status %q, %d snapshots)", id, status, taken[id])
		}
	}
	t.Logf("%d commits asked for, %d snapshots, %d still waiting", len(asked), len(taken), len(waiting))
}
