package remote

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/retry"
)

// Answer is one answer of a lieutenant.
type Answer struct {
	VMID     string    `json:"vm_id"`
	Name     string    `json:"name,omitempty"`
	Text     string    `json:"text"`
	Complete bool      `json:"complete"`
	Damaged  bool      `json:"damaged,omitempty"` // something is missing
	Started  time.Time `json:"started_at,omitzero"`
	Ended    time.Time `json:"ended_at,omitzero"`
}

// AnswerOptions selects answers.
type AnswerOptions struct {
	History int       // the last so many; 0 = 1
	All     bool      // every answer
	Since   time.Time // those that ended later
}

// answers reads what the lieutenant on the VM said, from its event stream.
func (l *Output) answers(ctx context.Context, vm inventory.VM, how access.How, o AnswerOptions) ([]Answer, error) {
	q := lieutenant.Query{Last: max(o.History, 1), Since: o.Since}
	if o.All || !o.Since.IsZero() {
		q.Last = 0
	}
	var out []Answer
	err := l.onStream(ctx, vm, how, "read the answers of", func(s *lieutenant.Stream) error {
		answers, err := s.Answers(ctx, q)
		if err == nil && len(answers.List) == 0 && o.Since.IsZero() {
			err = lieutenant.ErrNoAnswer
		}
		if answers.Cut {
			l.o.Warn("older answers are left out: all together exceed what is kept")
		}
		for _, a := range answers.List {
			out = append(out, Answer{VMID: vm.ID, Name: vm.Name, Text: a.Text, Complete: a.Complete, Damaged: a.Damaged,
				Started: a.Started, Ended: a.Ended})
		}
		return err
	})
	return out, err
}

// Raw writes the JSON lines of the last n answers, all if n is 0.
func (l *Output) Raw(ctx context.Context, vm inventory.VM, n int, w io.Writer) error {
	return l.onStream(ctx, vm, access.How{}, "read the events of", func(s *lieutenant.Stream) error { return s.Raw(ctx, n, w) })
}

// Follow hands on what the lieutenant writes, from the beginning of the
// answer it is writing, through reconnects and API outages, until ctx ends or
// fn fails.
func (l *Output) Follow(ctx context.Context, vm inventory.VM, fn func(lieutenant.Event) error) error {
	var open *sshconn.Conn
	defer func() {
		if open != nil {
			_ = open.Close()
		}
	}()
	return l.onStream(ctx, vm, access.How{}, "follow", func(s *lieutenant.Stream) error {
		from, err := s.Current(ctx)
		if err != nil && !errors.Is(err, lieutenant.ErrNoLieutenant) {
			return err
		}
		return s.Follow(ctx, lieutenant.FollowOptions{From: from,
			Dropped: func(err error) { l.o.Warn(vm.Title() + ": the connection was lost, connecting again") },
			Redial: func(ctx context.Context) (lieutenant.Conn, error) {
				if open != nil {
					_ = open.Close()
				}
				conn, err := l.o.Access.Connect(ctx, vm, access.How{})
				if err != nil {
					return nil, err
				}
				open = conn
				return conn, nil
			}}, fn)
	})
}

// Activity is what a lieutenant does, and since when.
type Activity struct {
	VMID      string    `json:"vm_id"`
	Name      string    `json:"name,omitempty"`
	Phase     string    `json:"phase"` // working, idle, stopped or crashed
	Since     time.Time `json:"since,omitzero"`
	LastWrite time.Time `json:"last_write,omitzero"`
	Answers   int       `json:"answers"` // -1: not known
	Size      int64     `json:"stream_bytes"`
	Error     string    `json:"error,omitempty"`
}

// activity asks what the lieutenant on the VM does.
func (l *Output) activity(ctx context.Context, vm inventory.VM, how access.How) (Activity, error) {
	a := Activity{VMID: vm.ID, Name: vm.Name, Phase: "unknown", Answers: -1}
	err := l.onStream(ctx, vm, how, "ask for the status of", func(s *lieutenant.Stream) error {
		st, err := s.Status(ctx, lieutenant.StatusOptions{})
		if err == nil {
			a.Phase, a.Since, a.LastWrite, a.Answers, a.Size = string(st.Phase), st.Since, st.LastWrite, st.Runs, st.Size
		}
		return err
	})
	if err != nil {
		a.Error = problem.Why(err)
	}
	return a, err
}

// AwaitIdle returns when the lieutenant has finished its answer: it is idle,
// stopped or crashed.
func (l *Output) AwaitIdle(ctx context.Context, vm inventory.VM, onWait func(Activity)) error {
	for {
		a, err := l.activity(ctx, vm, access.How{})
		if err != nil || a.Phase != string(lieutenant.PhaseWorking) {
			return err
		}
		if onWait != nil {
			onWait(a)
		}
		if err := retry.Sleep(ctx, idlePoll); err != nil {
			return streamError(ctx, vm, "wait for", err)
		}
	}
}

// idlePoll is how often a working lieutenant is looked at.
const idlePoll = 3 * time.Second

// Send writes one command to the lieutenant over SSH.
func (l *Output) Send(ctx context.Context, vm inventory.VM, m lieutenant.Message) error {
	return l.onStream(ctx, vm, access.How{}, "send to", func(s *lieutenant.Stream) error { return s.Send(ctx, m) })
}

// onStream connects and works on the VM's event stream.
func (l *Output) onStream(ctx context.Context, vm inventory.VM, how access.How, verb string, work func(*lieutenant.Stream) error) error {
	conn, err := l.o.Access.Borrow(ctx, vm, how)
	if err != nil {
		return err
	}
	defer conn.Close()
	return streamError(ctx, vm, verb, work(&lieutenant.Stream{Conn: conn}))
}

// streamError gives a failure on the event stream its kind and words.
func streamError(ctx context.Context, vm inventory.VM, verb string, err error) error {
	return problem.Of(ctx, err, problem.Error{Kind: problem.Unreachable, What: "cannot " + verb + " " + vm.Title(), Origin: problem.OriginSSH}, func(e *problem.Error) {
		switch {
		case e.Kind == problem.Interrupted:
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			*e = *problem.OutOfTime(e.What, err)
		case errors.Is(err, lieutenant.ErrNoLieutenant):
			e.Kind, e.Origin, e.Next = problem.NotFound, problem.OriginRemote, "see which VMs have one: vers-fleet output --all --status"
		case errors.Is(err, lieutenant.ErrNoAnswer):
			e.Kind, e.Origin, e.Next = problem.NotFound, problem.OriginRemote, "see it at work: vers-fleet output "+vm.Arg()+" --follow"
		case errors.Is(err, lieutenant.ErrNoReader):
			e.Kind, e.Origin, e.Next = problem.NotFound, problem.OriginRemote, "see what it does: vers-fleet output "+vm.Arg()+" --status"
		case errors.Is(err, lieutenant.ErrBadMessage):
			e.Kind, e.Origin = problem.Usage, problem.OriginLocal
		case errors.Is(err, lieutenant.ErrDeliveryUnknown), errors.Is(err, lieutenant.ErrPartialWrite):
			e.Next = "look before sending again: vers-fleet output " + vm.Arg() + " --follow"
		default:
			e.Retryable = true
		}
	})
}

// Answers reads the answers of several lieutenants, side by side; the error
// says how many failed.
func (l *Output) Answers(ctx context.Context, vms []inventory.VM, o AnswerOptions) ([]Answer, error) {
	how, done := l.o.Access.Batch(len(vms))
	defer done()
	lists, errs := make([][]Answer, len(vms)), make([]error, len(vms))
	problem.Each(len(vms), ExecJobs, func(n int) { lists[n], errs[n] = l.answers(ctx, vms[n], how, o) })
	return slices.Concat(lists...), problem.Sum{Failed: "could not be read", Next: "--status says why for each", Alike: true}.Of(ctx, inventory.Outcomes(vms, errs))
}

// Activities asks what several lieutenants do, side by side.
func (l *Output) Activities(ctx context.Context, vms []inventory.VM) ([]Activity, error) {
	how, done := l.o.Access.Batch(len(vms))
	defer done()
	list, errs := make([]Activity, len(vms)), make([]error, len(vms))
	problem.Each(len(vms), ExecJobs, func(n int) { list[n], errs[n] = l.activity(ctx, vms[n], how) })
	return list, problem.Sum{Failed: "could not be asked", Next: problem.SeeList, Alike: true}.Of(ctx, inventory.Outcomes(vms, errs))
}
