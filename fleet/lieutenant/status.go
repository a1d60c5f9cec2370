package lieutenant

import (
	"context"
	"time"
)

// Phase is what a lieutenant does.
type Phase string

// The phases.
const (
	PhaseWorking Phase = "working" // between agent_start and agent_end
	PhaseIdle    Phase = "idle"    // its last answer is complete
	PhaseStopped Phase = "stopped" // its process is gone, its last answer complete
	PhaseCrashed Phase = "crashed" // its process is gone, in the middle of an answer
)

// Status is what a lieutenant does, and since when. Times are by this machine's clock.
type Status struct {
	Phase     Phase
	Guessed   bool      // whether its process runs could not be found out: Phase is what the events say
	Since     time.Time // zero if unknown
	LastWrite time.Time // last write to the stream; zero if unknown
	Answers   int       // complete answers in the stream; -1 if they could not be counted
	AtLeast   bool      // there may be more: only the last 256 MiB were counted
	Size      int64     // of the stream, in bytes
}

const (
	statusScan = 64 << 20 // bytes that Status fetches to find the last event
	startScan  = 4 << 20  // bytes that it fetches to find the beginning of an answer
)

// Status asks the VM, in one command unless the last event is far from the end of the stream. ErrNoLieutenant means
// that none has run there.
func (s *Stream) Status(ctx context.Context) (Status, error) {
	var f facts
	var working bool
	var at time.Time
	_, err := s.backward(ctx, countIn, func(now facts) { f, working, at = now, false, time.Time{} }, func(l rawLine) bool {
		if interesting(l.text) {
			switch p := parseLine(l.text, l.cut); p.kind {
			case KindEnd:
				if !working {
					at = p.time
				}
				return false
			case KindStart:
				working, at = true, p.time
				return false
			case KindText:
				working = true
			}
		}
		return l.fetched < startScan || !working && l.fetched < statusScan
	})
	if err != nil {
		return Status{}, err
	}
	st := Status{LastWrite: f.local(f.modified), Answers: f.answers, AtLeast: f.size > countIn, Size: f.size, Since: at}
	alive, known := f.alive()
	st.Guessed = !known
	switch {
	case working && alive:
		st.Phase = PhaseWorking
	case working:
		st.Phase, st.Since = PhaseCrashed, st.LastWrite
	case alive:
		st.Phase = PhaseIdle
	default:
		st.Phase, st.Since = PhaseStopped, st.LastWrite
	}
	if st.Phase == PhaseIdle && st.Since.IsZero() {
		st.Since = st.LastWrite
	}
	return st, nil
}

// alive reports whether the lieutenant's process runs. Where that cannot be known it is believed to.
func (f facts) alive() (alive, known bool) {
	if f.tmux == "none" {
		return f.writers != 0, f.writers >= 0
	}
	return f.tmux == "yes", true
}
