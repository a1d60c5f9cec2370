package lieutenant

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// Phase is what a lieutenant does.
type Phase string

// The phases.
const (
	PhaseWorking  Phase = "working"  // it works
	PhaseRetrying Phase = "retrying" // its last run failed, and it will try again by itself
	PhaseWaiting  Phase = "waiting"  // it has asked something and works no more until it is answered
	PhaseSilent   Phase = "silent"   // it should work, and has said nothing for long
	PhaseIdle     Phase = "idle"     // its last answer is complete
	PhaseFailed   Phase = "failed"   // its last run failed, and nothing more follows by itself
	PhaseStopped  Phase = "stopped"  // its process is gone, its last answer complete
	PhaseCrashed  Phase = "crashed"  // its process is gone, in the middle of an answer
	PhaseNone     Phase = "none"     // there is no lieutenant on this VM
)

// AtWork reports whether more is to come from the lieutenant before its task is done.
func (p Phase) AtWork() bool {
	return p == PhaseWorking || p == PhaseRetrying || p == PhaseWaiting || p == PhaseSilent
}

// Status is what a lieutenant does, and since when. Times are by this machine's clock.
type Status struct {
	Phase     Phase
	Text      string    // why it failed, what is tried again, what it asks: one line, fit to be shown
	Question  *Question // of PhaseWaiting
	Settled   bool      // nothing follows by itself; false too for a run that failed a moment ago and may yet be tried again
	Guessed   bool      // whether its process runs could not be found out: Phase is what the events say
	Since     time.Time // zero if unknown
	LastWrite time.Time // last write to the stream; zero if unknown
	Runs      int       // runs in the stream that ended; -1 if they were not counted
	AtLeast   bool      // there may be more: only the last 256 MiB were counted
	Size      int64     // of the stream, in bytes
	Mark      Position  // where the event begins that says so; zero if none does
	Seen      *Seen     // for the next StatusOptions: while nothing is written, asking again costs a round trip
}

// Seen is what Status has read of a stream.
type Seen struct {
	facts facts
	r     reading
}

// still reports whether nothing was written since. An open question is read again:
// it may have been answered, or have timed out.
func (s *Seen) still(f facts) bool {
	return s.r.question == nil && s.facts.inode == f.inode && s.facts.size == f.size && s.facts.modified.Equal(f.modified)
}

// StatusOptions says what Status cannot find in the stream.
type StatusOptions struct {
	SilentAfter time.Duration // without an event for so long a lieutenant at work counts as silent; 0 = never
	Answered    []string      // ids of questions that were answered: the stream does not tell
	Count       bool          // the runs too, for which the VM has to read up to 256 MiB
	Seen        *Seen         // of an earlier Status; nil: the stream is read
}

const (
	statusScan = 64 << 20 // bytes that Status fetches to find the last event
	startScan  = 4 << 20  // bytes that it fetches to find the beginning of an answer
)

// settleTime is how long after a failed run nothing may be written before it counts as given up, where the agent does
// not say so: auto_retry_start follows at once (docs/platform.md), but the VM tells times in whole seconds.
const settleTime = 5 * time.Second

// Status asks the VM, in one command unless the last event is far from the end of the stream. ErrNoLieutenant means
// that none has run there.
func (s *Stream) Status(ctx context.Context, o StatusOptions) (Status, error) {
	if o.Seen != nil && !o.Count {
		f, _, _, err := s.look(ctx, 0, 0)
		if err != nil {
			return Status{}, err
		}
		if o.Seen.still(f) {
			return decide(f, o.Seen.r, o), nil
		}
	}
	var f facts
	var r reading
	count := int64(0)
	if o.Count {
		count = countIn
	}
	_, err := s.backward(ctx, count, func(now facts) { f, r = now, reading{facts: now, answered: o.Answered} }, func(l rawLine) bool {
		if r.writes && r.went && !bytes.Contains(l.text, []byte("agent_")) {
			return l.fetched < startScan // only where the run began is still wanted
		}
		before := r.phase
		more := r.take(l.parse())
		if r.phase != before {
			r.mark = l.offset
		}
		return more && (l.fetched < startScan || r.phase == "" && l.fetched < statusScan)
	})
	if err != nil {
		return Status{}, err
	}
	return decide(f, r, o), nil
}

// reading is what the last events of a stream say, read from the last to the first.
type reading struct {
	facts    facts
	answered []string

	phase    Phase // working, retrying, waiting, idle or failed; "" = no event says so yet
	at       time.Time
	end      ending
	question *Question
	settled  bool  // the agent said that nothing follows
	went     bool  // something followed that an open question would have held up
	writes   bool  // an event says that it works; only since when is still wanted
	mark     int64 // where the event begins that decided the phase
}

// take reads the next event to the left, and reports whether more are needed.
func (r *reading) take(p parsed) bool {
	if r.writes {
		switch p.kind {
		case KindAsk:
			return !r.ask(p)
		case KindStart, KindEnd:
			if p.kind == KindStart {
				r.at = p.time
			}
			return false
		}
		r.went = r.went || p.kind == KindText || p.kind == KindWork || p.kind == KindMessage
		return true
	}
	switch p.kind {
	case KindSettled:
		r.settled = true
	case KindAsk:
		return !r.ask(p)
	case KindText, KindWork, KindMessage:
		r.phase, r.writes, r.went = PhaseWorking, true, true
	case KindTool:
		r.phase, r.writes = PhaseWorking, true
	case KindStart, KindCompact:
		return r.is(PhaseWorking, p)
	case KindRetry:
		return r.is(PhaseRetrying, p)
	case KindRetryEnd:
		if p.end.Failed {
			r.settled = true
			return r.is(PhaseFailed, p)
		}
		r.phase, r.writes, r.went = PhaseWorking, true, true
	case KindCompacts:
		if p.end.Again {
			return r.is(PhaseWorking, p)
		}
		r.settled = true // a run is tried again before its memory is compacted, not after
	case KindEnd:
		switch {
		case p.end.Again && !r.settled:
			return r.is(PhaseRetrying, p)
		case p.end.Failed:
			r.settled = r.settled || p.end.Known
			return r.is(PhaseFailed, p)
		}
		return r.is(PhaseIdle, p)
	}
	return true
}

// is decides the phase.
func (r *reading) is(phase Phase, p parsed) (more bool) {
	r.phase, r.at, r.end = phase, p.time, p.end
	return false
}

// ask reports whether p is a question that is still open.
func (r *reading) ask(p parsed) bool {
	silence, known := r.facts.silence()
	timedOut := p.question.Timeout > 0 && known && silence > p.question.Timeout // then the agent has answered itself
	if r.went || timedOut || slices.Contains(r.answered, p.question.ID) {
		r.went = true
		return false
	}
	r.phase, r.at, r.question = PhaseWaiting, p.time, p.question
	return true
}

// silence is how long nothing was written, by the VM's clock.
func (f facts) silence() (d time.Duration, known bool) {
	return f.now.Sub(f.modified), !f.modified.IsZero()
}

// decide puts together what the events say and whether the process runs: the one place where a phase is made.
func decide(f facts, r reading, o StatusOptions) Status {
	st := Status{Phase: r.phase, Question: r.question, LastWrite: f.local(f.modified), Runs: f.answers, AtLeast: f.size > countIn, Size: f.size, Since: r.at}
	st.Seen = &Seen{f, r}
	if r.phase != "" {
		st.Mark = Position{f.inode, r.mark}
	}
	alive, known := f.alive()
	silence, timed := f.silence()
	if st.Phase == "" {
		st.Phase = PhaseIdle
	}
	st.Guessed = !known
	switch {
	case st.Phase.AtWork() && !alive:
		st.Phase, st.Since, st.Question = PhaseCrashed, st.LastWrite, nil
	case st.Phase == PhaseIdle && !alive:
		st.Phase, st.Since = PhaseStopped, st.LastWrite
	case st.Phase == PhaseWaiting:
		st.Text = st.Question.Line()
	case st.Phase == PhaseFailed:
		st.Text = r.end.why()
	case st.Phase == PhaseRetrying:
		st.Text = r.end.attempt() + " after: " + r.end.why()
	}
	if quiet := o.SilentAfter + r.end.Delay; (st.Phase == PhaseWorking || st.Phase == PhaseRetrying) && o.SilentAfter > 0 && timed && silence > quiet {
		st.Phase, st.Since = PhaseSilent, st.LastWrite
		st.Text = fmt.Sprintf("no event for %s", silence.Round(time.Second))
	}
	st.Settled = !st.Phase.AtWork() && (st.Phase != PhaseFailed || !alive || r.settled || timed && silence >= settleTime)
	if (st.Phase == PhaseIdle || st.Phase == PhaseFailed || st.Phase == PhaseWaiting || st.Phase == PhaseRetrying) && st.Since.IsZero() {
		st.Since = st.LastWrite
	}
	return st
}

// alive reports whether the lieutenant's process runs. Where that cannot be known it is believed to.
func (f facts) alive() (alive, known bool) {
	if f.tmux == "none" {
		return f.writers != 0, f.writers >= 0
	}
	return f.tmux == "yes", true
}
