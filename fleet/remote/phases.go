package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Activity is what a lieutenant does, and since when.
type Activity struct {
	VMID      string               `json:"vm_id"`
	Name      string               `json:"name,omitempty"`
	Phase     lieutenant.Phase     `json:"phase"`              // PhaseUnknown when it could not be asked
	Text      string               `json:"text,omitempty"`     // why it failed, what is tried again, what it asks
	Question  *lieutenant.Question `json:"question,omitempty"` // of a lieutenant that waits for an answer
	Since     time.Time            `json:"since_at,omitzero"`
	LastWrite time.Time            `json:"last_write_at,omitzero"`
	Answers   int                  `json:"answers"` // -1: not known
	Size      int64                `json:"stream_bytes"`
	Error     string               `json:"error,omitempty"`
	Source    outage.Source        `json:"source"`
	AsOf      time.Time            `json:"as_of"`

	Mark string `json:"-"` // tells the event apart that says so, where one does

	settled bool
}

// PhaseUnknown is the phase of a lieutenant that could not be asked.
const PhaseUnknown lieutenant.Phase = "unknown"

// Done reports whether the lieutenant's task is over, and nothing more comes of
// it by itself.
func (a Activity) Done() bool { return a.settled }

// Unfinished reports whether the task is over and was not done.
func (a Activity) Unfinished() bool {
	return a.Phase == lieutenant.PhaseFailed || a.Phase == lieutenant.PhaseCrashed
}

// Activities asks what several lieutenants do, side by side, and keeps what it
// learns. With --offline, what was learned last serves for a VM that cannot be
// asked. A VM without a lieutenant is no failure.
func (l *Output) Activities(ctx context.Context, vms []inventory.VM) ([]Activity, error) {
	how, done := l.o.Access.Batch(len(vms))
	defer done()
	known := l.recall()
	list, errs := make([]Activity, len(vms)), make([]error, len(vms))
	problem.Each(len(vms), ExecJobs, func(n int) { list[n], errs[n] = l.activity(ctx, len(vms), vms[n], how, known[vms[n].ID], true) })
	l.rememberPhases(ctx, list...)
	return list, problem.Sum{Failed: "could not be asked", Next: problem.SeeList, Alike: true}.Of(ctx, inventory.Outcomes(vms, errs))
}

// activity asks what the lieutenant on one of so many VMs does.
func (l *Output) activity(ctx context.Context, vms int, vm inventory.VM, how access.How, known memory, count bool) (a Activity, err error) {
	err = l.onStreamOf(ctx, vms, vm, how, "ask for the status of", func(ctx context.Context, s *lieutenant.Stream) (err error) {
		a, _, err = l.activityOn(ctx, vm, s, known, lieutenant.StatusOptions{Count: count})
		return err
	})
	if err == nil {
		return a, nil
	}
	if a, has := known.activity(vm); has && l.mayRecall(how, err, false) {
		a.Error = problem.Why(err)
		return a, nil
	}
	return Activity{VMID: vm.ID, Name: vm.Name, Phase: PhaseUnknown, Answers: -1, Error: problem.Why(err), Source: outage.FromAPI, AsOf: l.o.Now().UTC()}, err
}

// activityOn asks over a connection that is open. What it returns beside the
// answer saves the next question work.
func (l *Output) activityOn(ctx context.Context, vm inventory.VM, s *lieutenant.Stream, known memory, o lieutenant.StatusOptions) (Activity, *lieutenant.Seen, error) {
	a := Activity{VMID: vm.ID, Name: vm.Name, Source: outage.FromAPI}
	o.SilentAfter, o.Answered = l.o.SilentAfter, known.Answered
	st, err := s.Status(ctx, o)
	a.AsOf = l.o.Now().UTC()
	switch {
	case errors.Is(err, lieutenant.ErrNoLieutenant):
		a.Phase, a.Answers, a.settled = lieutenant.PhaseNone, -1, true
		return a, nil, nil
	case err == nil:
		a.Phase, a.Text, a.Question, a.Since, a.LastWrite, a.settled = st.Phase, st.Text, st.Question, st.Since, st.LastWrite, st.Settled
		a.Answers, a.Size = st.Runs, st.Size
		if st.Mark.Inode != 0 {
			a.Mark = fmt.Sprintf("%d:%d", st.Mark.Inode, st.Mark.Offset)
		}
	}
	return a, st.Seen, err
}

// rememberPhases keeps what was learned now of phases.
func (l *Output) rememberPhases(ctx context.Context, list ...Activity) {
	l.remember(ctx, func(vms map[string]memory) {
		for _, a := range list {
			if a.Source == outage.FromAPI && a.Phase != PhaseUnknown {
				m := vms[a.VMID]
				m.Phase, m.Since, m.AsOf = a.Phase, a.Since, a.AsOf
				vms[a.VMID] = m
			}
		}
	})
}

// phaseTimeout bounds what a listing asks one VM, its login included.
const phaseTimeout = 20 * time.Second

// Phases notes in each VM what its lieutenant does, asking all of them side by
// side over SSH with what is recorded. A VM that does not answer in time has an
// unknown phase, and in its text the reason.
func (l *Output) Phases(ctx context.Context, vms []inventory.VM, onDone func(done int)) {
	how, told := l.o.Access.Batch(len(vms))
	defer told()
	how.Mode = outage.Offline
	known := l.recall()
	list := make([]Activity, len(vms))
	var mu sync.Mutex
	done := 0
	problem.Each(len(vms), ExecJobs, func(n int) {
		ctx, stop := context.WithTimeout(ctx, phaseTimeout)
		defer stop()
		a, err := l.activity(ctx, len(vms), vms[n], how, memory{Answered: known[vms[n].ID].Answered}, false)
		if err != nil {
			a.Text = a.Error
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		list[n] = a
		vms[n].Phase, vms[n].PhaseText, vms[n].PhaseSince, vms[n].PhaseAsOf = string(a.Phase), a.Text, a.Since, a.AsOf
		onDone(done)
	})
	l.rememberPhases(ctx, list...)
}

// idlePoll is how often a lieutenant at work is looked at.
const idlePoll = 3 * time.Second

// AwaitDone returns when the lieutenant's task is over: not at an agent_end that
// a retry follows, and not while a question is open. It tells onWait each time
// why it goes on. Once the VM was reached, it goes on through outages.
func (l *Output) AwaitDone(ctx context.Context, vm inventory.VM, onWait func(Activity)) (Activity, error) {
	var conn *access.Borrowed
	release := func() {
		if conn != nil {
			_ = conn.Close()
			conn = nil
		}
	}
	defer release()
	var last Activity
	for first := true; ; {
		a, err := l.look(ctx, vm, &conn)
		switch {
		case err != nil && (first || ctx.Err() != nil || !problem.WatchGoesOn(err, first)):
			return last, err
		case err != nil:
			release()
			a = Activity{VMID: vm.ID, Name: vm.Name, Phase: PhaseUnknown, Text: problem.Why(err)}
		case a.Phase == lieutenant.PhaseNone && first:
			return a, streamError(ctx, vm, "wait for", lieutenant.ErrNoLieutenant)
		default:
			// Where the VM does not say when it wrote last, that nothing came since the last look must do.
			unchanged := last.Phase == a.Phase && last.Size == a.Size && a.LastWrite.IsZero() && !a.Phase.AtWork()
			first, last = false, a
			if a.Done() || unchanged {
				l.rememberPhases(ctx, a)
				return a, nil
			}
		}
		onWait(a)
		if err := retry.Sleep(ctx, idlePoll); err != nil {
			return last, streamError(ctx, vm, "wait for", err)
		}
	}
}

// look asks what the lieutenant does over *conn, which it opens if it is nil.
func (l *Output) look(ctx context.Context, vm inventory.VM, conn **access.Borrowed) (Activity, error) {
	if *conn == nil {
		c, err := l.o.Access.Borrow(ctx, vm, access.How{})
		if err != nil {
			return Activity{}, err
		}
		*conn = c
	}
	a, _, err := l.activityOn(ctx, vm, &lieutenant.Stream{Conn: *conn}, l.recall()[vm.ID], lieutenant.StatusOptions{})
	return a, streamError(ctx, vm, "ask for the status of", err)
}
