package remote

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// Answer is one answer of a lieutenant, as the VM has it or as it was kept
// here when it was read last.
type Answer struct {
	VMID string `json:"vm_id"`
	Name string `json:"name,omitempty"`
	lieutenant.Answer
	Source outage.Source `json:"source"`
	AsOf   time.Time     `json:"as_of"`
}

// AnswerOptions selects answers.
type AnswerOptions struct {
	History int       // the last so many; 0 = 1
	All     bool      // every answer
	Since   time.Time // those that ended later
	Unnamed bool      // the VMs were not named: that no lieutenant has run on one is no failure

	// OnRecall, if not nil, is told of VMs whose answers were kept here, when
	// they were read and why they had to serve; one at a time.
	OnRecall func(vm inventory.VM, asOf time.Time, why string)
}

func (o AnswerOptions) query() lieutenant.Query {
	q := lieutenant.Query{Last: max(o.History, 1), Since: o.Since}
	if o.All || !o.Since.IsZero() {
		q.Last = 0
	}
	return q
}

// Answers reads the answers of several lieutenants, side by side, from their
// event streams and session files, and keeps what it reads. Where a VM has
// less than was kept of it, what was kept serves; with --offline it also
// serves for a VM that cannot be reached. The error says how many failed.
func (l *Output) Answers(ctx context.Context, vms []inventory.VM, o AnswerOptions) ([]Answer, error) {
	how, done := l.o.Access.Batch(len(vms))
	defer done()
	if tell := o.OnRecall; tell != nil {
		var mu sync.Mutex
		o.OnRecall = func(vm inventory.VM, asOf time.Time, why string) {
			mu.Lock()
			defer mu.Unlock()
			tell(vm, asOf, why)
		}
	} else {
		o.OnRecall = func(inventory.VM, time.Time, string) {}
	}
	known := l.recall()
	lists, errs := make([][]Answer, len(vms)), make([]error, len(vms))
	problem.Each(len(vms), ExecJobs, func(n int) {
		lists[n], errs[n] = l.answers(ctx, len(vms), vms[n], how, o, known[vms[n].ID])
		if o.Unnamed && errors.Is(errs[n], lieutenant.ErrNoLieutenant) {
			errs[n] = nil
		}
	})
	return slices.Concat(lists...), problem.Sum{Failed: "could not be read", Next: "--status says why for each", Alike: true}.Of(ctx, inventory.Outcomes(vms, errs))
}

// answers reads what the lieutenant on one of so many VMs said.
func (l *Output) answers(ctx context.Context, vms int, vm inventory.VM, how access.How, o AnswerOptions, known memory) ([]Answer, error) {
	q := o.query()
	var live lieutenant.Answers
	err := l.onStreamOf(ctx, vms, vm, how, "read the answers of", func(ctx context.Context, s *lieutenant.Stream) error {
		var sessions lieutenant.Sessions
		var err error
		live, sessions, err = s.History(ctx, q, known.Sessions)
		l.rememberSessions(ctx, vm, known, sessions)
		if err == nil && len(live.List) == 0 && o.Since.IsZero() {
			err = lieutenant.ErrNoAnswer
		}
		return err
	})
	said := problem.KindOf(err) == problem.NotFound && ctx.Err() == nil // the VM answered: there is nothing, or nothing any more
	switch {
	case err != nil && !l.mayRecall(how, err, said):
		return nil, l.hint(vm, err)
	case err != nil && said:
		live.List = nil
	case err != nil:
		return l.recalled(vm, q, o, err)
	}
	kept, asOf := l.keep(ctx, vm, live.List)
	if live.Cut {
		l.o.Warn(vm.Title() + ": older answers are left out: all together exceed what is kept")
	}
	if live.Failed != "" {
		l.o.Warn(vm.Title() + ": its last run failed: " + live.Failed)
	}
	var out []Answer
	if len(live.List) < q.Last || q.Last == 0 {
		all := lieutenant.Join(kept, live.List)
		if older := wanted(all[:len(all)-len(live.List)], q, len(live.List)); len(older) > 0 {
			out = l.present(vm, older, outage.FromCache, asOf)
			why := "the lieutenant was started anew since"
			if err != nil {
				why = problem.Why(err)
			}
			o.OnRecall(vm, asOf, why)
		}
	}
	if err != nil && len(out) == 0 {
		return nil, err
	}
	return append(out, l.present(vm, live.List, outage.FromAPI, l.o.Now().UTC())...), nil
}

// wanted are those of the kept answers that q selects, where more were read
// from the VM.
func wanted(kept []lieutenant.Answer, q lieutenant.Query, more int) []lieutenant.Answer {
	if !q.Since.IsZero() {
		kept = slices.DeleteFunc(slices.Clone(kept), func(a lieutenant.Answer) bool { return a.Ended.Before(q.Since) })
	}
	if q.Last > 0 {
		kept = kept[max(0, len(kept)-max(0, q.Last-more)):]
	}
	return kept
}

func (l *Output) present(vm inventory.VM, list []lieutenant.Answer, source outage.Source, asOf time.Time) []Answer {
	out := make([]Answer, len(list))
	for i, a := range list {
		out[i] = Answer{VMID: vm.ID, Name: vm.Name, Answer: a, Source: source, AsOf: asOf}
	}
	return out
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
			Dropped: func(_ error) { l.o.Warn(vm.Title() + ": the connection was lost, connecting again") },
			Redial: func(ctx context.Context) (lieutenant.Conn, error) {
				if open != nil {
					_ = open.Close()
				}
				conn, err := l.o.connectAgain(ctx, vm, access.How{}, reconnectBase, false)
				if err != nil {
					return nil, err
				}
				open = conn
				return conn, nil
			}}, fn)
	})
}

// Send writes one command to the lieutenant over SSH. The error is of kind
// Refused when it does not take it, as a new task while it works.
func (l *Output) Send(ctx context.Context, vm inventory.VM, m lieutenant.Message) error {
	return l.onStream(ctx, vm, access.How{}, "send to", func(s *lieutenant.Stream) error { return s.Tell(ctx, m) })
}

// Reply answers a question that the lieutenant has asked, by its id. The error
// is of kind NotFound when it has asked no such thing, and Usage when the text
// is no answer to it.
func (l *Output) Reply(ctx context.Context, vm inventory.VM, id, text string) error {
	err := l.onStream(ctx, vm, access.How{}, "answer", func(s *lieutenant.Stream) error {
		q, err := s.FindQuestion(ctx, id)
		if err != nil {
			return err
		}
		m, err := q.Reply(text)
		if err != nil {
			return err
		}
		return s.Send(ctx, m)
	})
	if err == nil {
		l.rememberAnswered(ctx, vm, id)
	}
	return err
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

// onStreamOf is onStream with one of so many VMs, which is not waited for if it is
// late while there are others.
func (l *Output) onStreamOf(ctx context.Context, vms int, vm inventory.VM, how access.How, verb string, work func(context.Context, *lieutenant.Stream) error) error {
	if vms < 2 {
		return l.onStream(ctx, vm, how, verb, func(s *lieutenant.Stream) error { return work(ctx, s) })
	}
	own, count, stop := paced(ctx, l.o.Patience)
	defer stop()
	conn, err := l.o.Access.Borrow(own, vm, how)
	if err != nil {
		return streamError(ctx, vm, verb, lateOr(own, err))
	}
	defer conn.Close()
	return streamError(ctx, vm, verb, lateOr(own, work(own, &lieutenant.Stream{Conn: countedConn{conn, count}})))
}

// streamError gives a failure on the event stream its kind and words.
func streamError(ctx context.Context, vm inventory.VM, verb string, err error) error {
	return problem.Of(ctx, err, problem.Error{Kind: problem.Unreachable, What: "cannot " + verb + " " + vm.Title(), Origin: problem.OriginSSH}, func(e *problem.Error) {
		status := "see what it does: vers-fleet output " + vm.Arg() + " --status"
		switch {
		case e.Kind == problem.Interrupted:
		case errors.Is(err, lieutenant.ErrNoLieutenant):
			e.Kind, e.Origin, e.Next = problem.NotFound, problem.OriginRemote, "see which VMs have one: vers-fleet output --all --status"
		case errors.Is(err, lieutenant.ErrNoAnswer):
			e.Kind, e.Origin, e.Next = problem.NotFound, problem.OriginRemote, "see it at work: vers-fleet output "+vm.Arg()+" --follow"
		case errors.Is(err, lieutenant.ErrNoReader), errors.Is(err, lieutenant.ErrNoQuestion):
			e.Kind, e.Origin, e.Next = problem.NotFound, problem.OriginRemote, status
		case errors.Is(err, lieutenant.ErrStdin):
			e.Origin, e.Next = problem.OriginRemote, "let it do that only for people: [ -t 0 ] || return"
		case errors.Is(err, lieutenant.ErrBadMessage):
			e.Kind, e.Origin = problem.Usage, problem.OriginLocal
		case errors.Is(err, lieutenant.ErrNoResponse):
			e.Origin, e.Retryable, e.Next = problem.OriginRemote, true, status
		case errors.Is(err, lieutenant.ErrRefused):
			e.Kind, e.Origin, e.Next = problem.Refused, problem.OriginRemote, status+"; while it works, --steer and --follow-up reach it"
		case errors.Is(err, lieutenant.ErrDeliveryUnknown), errors.Is(err, lieutenant.ErrPartialWrite):
			e.Next = "look before sending again: vers-fleet output " + vm.Arg() + " --follow"
		default:
			e.Retryable = true
		}
	})
}

// Usage is what a lieutenant has used in its present session.
type Usage struct {
	VMID              string  `json:"vm_id"`
	Name              string  `json:"name,omitempty"`
	Messages          int     `json:"messages"` // all of them, results of tools included
	UserMessages      int     `json:"user_messages"`
	AssistantMessages int     `json:"assistant_messages"`
	ToolCalls         int     `json:"tool_calls"`
	Tokens            int64   `json:"tokens"` // all of them
	InputTokens       int64   `json:"input_tokens"`
	OutputTokens      int64   `json:"output_tokens"`
	CacheReadTokens   int64   `json:"cache_read_tokens"`
	CacheWriteTokens  int64   `json:"cache_write_tokens"`
	Cost              float64 `json:"cost_usd"` // as the agent reckons
	Error             string  `json:"error,omitempty"`
}

// Usage asks several lieutenants what they have used, side by side. Of several
// VMs those without a lieutenant are left out; the error says how many of the
// others failed.
func (l *Output) Usage(ctx context.Context, vms []inventory.VM) ([]Usage, error) {
	how, done := l.o.Access.Batch(len(vms))
	defer done()
	list, errs := make([]Usage, len(vms)), make([]error, len(vms))
	problem.Each(len(vms), ExecJobs, func(n int) { list[n], errs[n] = l.usage(ctx, len(vms), vms[n], how) })
	out, outcomes := []Usage{}, []problem.Outcome{}
	for n, vm := range vms {
		if len(vms) > 1 && errors.Is(errs[n], lieutenant.ErrNoLieutenant) {
			continue
		}
		out, outcomes = append(out, list[n]), append(outcomes, problem.Outcome{Name: vm.Title(), Err: errs[n]})
	}
	return out, problem.Sum{Failed: "could not be asked", Next: problem.SeeList, Alike: true}.Of(ctx, outcomes)
}

func (l *Output) usage(ctx context.Context, vms int, vm inventory.VM, how access.How) (Usage, error) {
	u := Usage{VMID: vm.ID, Name: vm.Name}
	err := l.onStreamOf(ctx, vms, vm, how, "ask for the statistics of", func(ctx context.Context, s *lieutenant.Stream) error {
		st, err := s.Stats(ctx)
		u.Messages, u.UserMessages, u.AssistantMessages, u.ToolCalls = st.Messages, st.UserMessages, st.AssistantMessages, st.ToolCalls
		u.Tokens, u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWriteTokens, u.Cost = st.Tokens, st.Input, st.Output, st.CacheRead, st.CacheWrite, st.Cost
		return err
	})
	if err != nil {
		u.Error = problem.Why(err)
	}
	return u, err
}

// Add sums up what several lieutenants have used.
func (u Usage) Add(v Usage) Usage {
	u.Messages += v.Messages
	u.Tokens += v.Tokens
	u.Cost += v.Cost
	return u
}
