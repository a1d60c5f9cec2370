package fleet_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

// late is what is said of a VM whose connection was not made in time.
const late = "the connection was not made within 30s"

// tricklingWorld is a fleet one VM of which sends a byte every three seconds from
// a stage of the connection on. All limits on a dial are over when the channel is
// closed.
func tricklingWorld(t *testing.T, stage string) (*fleettest.World, []inventory.VM, chan time.Time) {
	t.Helper()
	w := fleettest.New(t, 6)
	fleettest.RecordAll(t, w)
	list, err := w.Open(fleettest.Offline).List(t.Context(), fleet.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Fault(sim.Fault{Kind: "gateway-trickle", Stage: stage, VM: sim.MarketingID})
	over := make(chan time.Time)
	w.Options.After = func(time.Duration) <-chan time.Time { return over }
	return w, list.VMs, over
}

// Of several VMs, one that trickles before it is logged in to bounds none of the
// others: its limit is over only when they are done. It is named as late.
func TestTricklingVMBoundsNoOther(t *testing.T) {
	t.Parallel()
	works := map[string]func(context.Context, *fleet.Fleet, []inventory.VM, func()) error{
		"drill": func(ctx context.Context, f *fleet.Fleet, _ []inventory.VM, done func()) error {
			results, err := f.Drill(ctx, fleet.DrillOptions{Selection: inventory.Selection{All: true}, OnDone: func(fleet.DrillResult) { done() }})
			return problem.Sum{Failed: "are lost"}.Of(ctx, []problem.Outcome{{}, {Name: lostOf(results), Err: err, Why: whyOf(results)}})
		},
		"vms --probe": func(ctx context.Context, f *fleet.Fleet, vms []inventory.VM, done func()) error {
			err := f.Probe(ctx, vms, func(keys.Progress) { done() })
			for _, vm := range vms {
				if !*vm.Reachable {
					return &problem.Error{What: vm.Name + " is lost", Why: vm.ProbeError}
				}
			}
			return err
		},
		"exec --all": func(ctx context.Context, f *fleet.Fleet, vms []inventory.VM, done func()) error {
			_, err := f.Remote.Exec(ctx, remote.ExecRequest{VMs: vms, Command: "true", OnDone: func(remote.ExecResult) { done() },
				Output: func(inventory.VM) (io.Writer, io.Writer) { return io.Discard, io.Discard }})
			return err
		},
		"pull --all": func(ctx context.Context, f *fleet.Fleet, vms []inventory.VM, done func()) error {
			r := remote.PullRequest{Dest: t.TempDir(), PerVM: true, OnDone: func(remote.PullResult) { done() }}
			for _, vm := range vms {
				r.Items = append(r.Items, remote.PullItem{VM: vm, Paths: []string{"/etc/hostname"}})
			}
			_, err := f.Remote.Pull(ctx, r)
			return err
		},
	}
	for _, stage := range []string{"tls", "kex", "login"} {
		for name, work := range works {
			if testing.Short() && stage != "kex" {
				continue
			}
			t.Run(name+" "+stage, func(t *testing.T) {
				t.Parallel()
				w, vms, over := tricklingWorld(t, stage)
				var mu sync.Mutex
				left := len(vms) - 1
				err := work(t.Context(), w.Open(fleettest.Offline), vms, func() {
					mu.Lock()
					defer mu.Unlock()
					if left--; left == 0 {
						close(over)
					}
				})
				text := problem.Cause(err) // on a slow machine, a stage's own limit may be over first
				if !strings.Contains(text, "marketing") || !strings.Contains(text, late) && !strings.Contains(text, "no answer in time") || strings.Contains(text, "infra-ui") {
					t.Error(text)
				}
			})
		}
	}
}

func lostOf(results []fleet.DrillResult) string { return lost(results).Name }
func whyOf(results []fleet.DrillResult) string  { return lost(results).Why }

func lost(results []fleet.DrillResult) fleet.DrillResult {
	i := slices.IndexFunc(results, func(r fleet.DrillResult) bool { return !r.OK })
	return results[max(0, i)]
}

// What is done with one VM ends, and names it, when it trickles.
func TestTricklingVMIsNamed(t *testing.T) {
	t.Parallel()
	w, vms, over := tricklingWorld(t, "kex")
	close(over)
	vm := vms[slices.IndexFunc(vms, func(vm inventory.VM) bool { return vm.ID == sim.MarketingID })]
	one := []inventory.VM{vm}
	works := map[string]func(context.Context, *fleet.Fleet) error{
		"ssh": func(ctx context.Context, f *fleet.Fleet) error {
			return f.Remote.Session(ctx, vm, sshconn.RunOptions{Command: "true"}, nil)
		},
		"exec": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Remote.Exec(ctx, remote.ExecRequest{VMs: one, Command: "true", Output: func(inventory.VM) (io.Writer, io.Writer) { return io.Discard, io.Discard }})
			return err
		},
		"push": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Remote.Push(ctx, vm, transfer.PushOptions{Sources: []string{"trickle_test.go"}, Dest: "/tmp/x"})
			return err
		},
		"pull": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Remote.Pull(ctx, remote.PullRequest{Dest: t.TempDir(), Items: []remote.PullItem{{VM: vm, Paths: []string{"/etc/hostname"}}}})
			return err
		},
		"diff": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Remote.Diff(ctx, remote.PullRequest{Dest: t.TempDir(), Items: []remote.PullItem{{VM: vm, Paths: []string{"/etc/hostname"}}}})
			return err
		},
		"output": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Output.Answers(ctx, one, remote.AnswerOptions{})
			return err
		},
		"output --status": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Output.Activities(ctx, one)
			return err
		},
		"output --raw": func(ctx context.Context, f *fleet.Fleet) error { return f.Output.Raw(ctx, vm, 1, io.Discard) },
		"send": func(ctx context.Context, f *fleet.Fleet) error {
			return f.Output.Send(ctx, vm, lieutenant.Message{Type: lieutenant.Prompt, Text: "go on"})
		},
		"pull --stdout": func(ctx context.Context, f *fleet.Fleet) error {
			return f.Remote.Cat(ctx, vm, "/etc/hostname", io.Discard, func(int64, int64) {})
		},
		"vm_list_files": func(ctx context.Context, f *fleet.Fleet) error {
			_, err := f.Remote.Files(ctx, vm, "/")
			return err
		},
		"proxy": func(ctx context.Context, f *fleet.Fleet) error { return f.Access.Reach(ctx, vm) },
	}
	for name, work := range works {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := work(t.Context(), w.Open(fleettest.Offline))
			if problem.KindOf(err) != problem.Unreachable || !strings.HasPrefix(problem.Cause(err), "cannot reach marketing: ") || !strings.Contains(problem.Cause(err), late) {
				t.Errorf("%s: %v", problem.KindOf(err), err)
			}
		})
	}
}
