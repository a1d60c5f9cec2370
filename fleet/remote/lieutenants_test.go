package remote_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// oracle is what must be found out about one lieutenant after what happened.
type oracle struct {
	phase  lieutenant.Phase
	last   string // answer
	words  string // of the run at hand
	asks   int
	silent bool // it may have said something since: a response to a question of ours

	// A try that the agent was to begin anew, and did not end because it was
	// started anew itself, stands in the session file like one that failed for
	// good. Nothing tells the two apart.
	lost  string // of the try
	maybe string // what may count as the last answer for that reason

	// What was found out when it could last be asked.
	seen     lieutenant.Phase
	seenLast string
}

// happen lets something happen that fits the lieutenant's state.
func (o *oracle) happen(t *testing.T, r *rand.Rand, w *fleettest.World, vm inventory.VM, f *fleet.Fleet) string {
	t.Helper()
	deed := func(name string) string {
		if err := w.Sim.Deed(vm.ID, name); err != nil {
			t.Fatal(name, err)
		}
		return name
	}
	end := func(phase lieutenant.Phase, answer string, counts bool) {
		if phase == lieutenant.PhaseRetrying {
			o.lost = o.words
		} else if phase != lieutenant.PhaseWorking && phase != lieutenant.PhaseCrashed {
			o.lost = ""
		}
		if o.phase, o.words, o.silent = phase, "", false; counts {
			o.last, o.maybe = answer, ""
		}
	}
	if r.IntN(10) == 0 {
		o.maybe = o.lost
		end(lieutenant.PhaseIdle, "", false)
		return deed("restart")
	}
	switch o.phase {
	case lieutenant.PhaseStopped, lieutenant.PhaseCrashed:
		o.maybe = o.lost
		end(lieutenant.PhaseIdle, "", false)
		return deed("restart")
	case lieutenant.PhaseIdle, lieutenant.PhaseFailed:
		switch r.IntN(8) {
		case 0:
			if o.phase == lieutenant.PhaseIdle { // what failed stays failed without its process
				end(lieutenant.PhaseStopped, "", false)
				return deed("exit")
			}
		case 1:
			text := fmt.Sprint("task ", r.IntN(1000))
			if err := f.Output.Send(t.Context(), vm, remote.Message{Type: remote.Prompt, Text: text}); err != nil {
				t.Fatal(err)
			}
			end(lieutenant.PhaseIdle, "You asked: "+text+"\nDone, see /root/workspace.", true)
			return "prompt"
		case 2: // somebody empties the stream; the session file has what was in it
			if err := os.Truncate(w.Sim.VM(vm.ID).Root()+"/tmp/pi-rpc/out", 0); err != nil {
				t.Fatal(err)
			}
			end(lieutenant.PhaseIdle, "", false)
			return "truncated"
		}
		end(lieutenant.PhaseWorking, "", false)
		return deed("work")
	case lieutenant.PhaseRetrying:
		end(lieutenant.PhaseWorking, "", false)
		return deed("work")
	case lieutenant.PhaseWaiting:
		if err := f.Output.Reply(t.Context(), vm, fmt.Sprint("ask-", o.asks), "block"); err != nil {
			t.Fatal(err)
		}
		o.phase, o.words = lieutenant.PhaseWorking, o.words+"(You chose Block.) "
		return "answer"
	}
	switch r.IntN(9) { // at work
	case 0, 1:
		end(lieutenant.PhaseIdle, o.words+"\n\nDone. The final images are in /root/workspace/images.", true)
		return deed("finish")
	case 2:
		end(lieutenant.PhaseFailed, o.words, o.words != "")
		return deed("fail")
	case 3:
		end(lieutenant.PhaseFailed, o.words, o.words != "")
		return deed("give-up")
	case 4:
		end(lieutenant.PhaseRetrying, "", false)
		return deed("retry")
	case 5:
		o.phase, o.asks, o.silent = lieutenant.PhaseWaiting, o.asks+1, false
		return deed("ask")
	case 6:
		o.phase, o.silent = lieutenant.PhaseSilent, true
		return deed("silence")
	case 7:
		end(lieutenant.PhaseCrashed, "", false)
		return deed("exit")
	}
	if err := f.Output.Send(t.Context(), vm, remote.Message{Type: remote.Abort}); err != nil {
		t.Fatal(err)
	}
	end(lieutenant.PhaseIdle, o.words, true)
	return "abort"
}

// check compares what is found out with what happened: of a VM that cannot be
// reached, what was last found out.
func (o *oracle) check(t *testing.T, f *fleet.Fleet, vm inventory.VM, reachable bool) {
	t.Helper()
	phase, last, source := o.phase, o.last, outage.FromAPI
	if !reachable {
		phase, last, source = o.seen, o.seenLast, outage.FromCache
	}
	list, err := f.Output.Activities(t.Context(), []inventory.VM{vm})
	got := list[0]
	same := got.Phase == phase || o.silent && reachable && got.Phase == lieutenant.PhaseWorking
	if err != nil || !same || got.Source != source {
		t.Errorf("%s from %s, %v; want %s from %s", got.Phase, got.Source, err, phase, source)
	}
	answers, err := f.Output.Answers(t.Context(), []inventory.VM{vm}, remote.AnswerOptions{})
	if reachable && err == nil && len(answers) == 1 && o.maybe != "" && answers[0].Text == o.maybe {
		last, o.last, o.maybe = o.maybe, o.maybe, ""
	}
	if err != nil || len(answers) != 1 || answers[0].Text != last || !reachable && answers[0].Source != outage.FromCache {
		t.Errorf("%+v, %v; want %q", answers, err, last)
	}
	if reachable {
		o.seen, o.seenLast = got.Phase, last
	}
}

// TestLieutenantsThroughAnything: whatever happens to lieutenants, their agents,
// their streams, the API and the gateway, the phase and the last answer are
// right.
func TestLieutenantsThroughAnything(t *testing.T) {
	days := 6
	if os.Getenv("VERS_FLEET_TORTURE") == "1" {
		days = 500
	}
	w := fleettest.New(t, 6)
	w.Options.SilentAfter = 10 * time.Minute
	if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	names := []string{"chad-dev", "chad-fix", "infra-ui", "marketing", "investigator", "docs-writer"}
	oracles := map[string]*oracle{}
	for day := range days {
		r := rand.New(rand.NewPCG(uint64(day), 2))
		name := names[day%len(names)]
		vm, err := w.Open(fleettest.Offline).Inventory.One(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		o := oracles[name]
		if o == nil {
			o = &oracle{phase: lieutenant.PhaseIdle, last: "First draft is done:\n- sources in place\n- logs in logs/\n\nNext I polish it. ✓"}
			if name == "chad-dev" || name == "marketing" {
				o.phase, o.words = lieutenant.PhaseWorking, "Working on it. "
			}
			oracles[name] = o
			o.check(t, w.Open(fleettest.Offline), vm, true)
		}
		var log []string
		for range 8 {
			f, reachable := w.Open(fleettest.Offline), true
			switch r.IntN(5) {
			case 0:
				w.Fault(sim.Fault{Kind: "503"})
				f = w.Open()
				log = append(log, "API down")
			case 1:
				log = append(log, "gateway down")
				reachable = false
			}
			log = append(log, o.happen(t, r, w, vm, f))
			if !reachable {
				w.Fault(sim.Fault{Kind: "gateway-down"})
			}
			o.check(t, f, vm, reachable)
			w.Sim.ClearFaults()
		}
		if t.Failed() {
			t.Fatalf("day %d of %s: %s", day, name, strings.Join(log, ", "))
		}
	}
}

// A VM that is gone is an error, which names what is kept; with --offline that
// serves. Nothing is kept of a VM that was forgotten.
func TestWordsOutliveTheVM(t *testing.T) {
	w := fleettest.New(t, 6)
	if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	f := w.Open()
	vm, err := f.Inventory.One(t.Context(), "chad-fix")
	if err != nil {
		t.Fatal(err)
	}
	vms := []inventory.VM{vm}
	if _, err := f.Output.Answers(t.Context(), vms, remote.AnswerOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Sim.VM(vm.ID).Delete(); err != nil {
		t.Fatal(err)
	}
	var e *problem.Error
	if _, err := f.Output.Answers(t.Context(), vms, remote.AnswerOptions{}); !errors.As(err, &e) || !strings.Contains(e.Next, "vers-fleet output chad-fix --offline") {
		t.Errorf("%v", err)
	}
	told := 0
	answers, err := w.Open(fleettest.Offline).Output.Answers(t.Context(), vms, remote.AnswerOptions{OnRecall: func(inventory.VM, time.Time, string) { told++ }})
	if err != nil || len(answers) != 1 || answers[0].Source != outage.FromCache || answers[0].AsOf.IsZero() || told != 1 {
		t.Errorf("%+v, told %d times, %v", answers, told, err)
	}
	if _, err := w.Open(fleettest.Offline).Keys.Remove([]string{"chad-fix"}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(fleettest.Offline).Output.Answers(t.Context(), vms, remote.AnswerOptions{}); err == nil {
		t.Error("its words were kept")
	}
}
