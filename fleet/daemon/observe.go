package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/retry"
)

// known is what was observed last.
type known struct {
	Version int                `json:"version"`
	Seq     int64              `json:"seq"` // of the last event
	API     knownAPI           `json:"api"`
	Listed  bool               `json:"listed"` // VMs were observed before
	DiskLow bool               `json:"disk_low,omitempty"`
	VMs     map[string]knownVM `json:"vms"`
}

// knownAPI is what was told of the API.
type knownAPI struct {
	Observed  bool            `json:"observed"`
	Condition retry.Condition `json:"condition,omitempty"` // of the outage that is open, "" if none is
	Outage    time.Time       `json:"outage,omitzero"`     // when it began
	Told      time.Time       `json:"told,omitzero"`       // when the last began that is over
}

// knownVM is what was observed of one VM.
type knownVM struct {
	Name       string       `json:"name,omitempty"`
	State      string       `json:"state,omitempty"`
	KeyMissing bool         `json:"key_missing,omitempty"`
	KeyRefused bool         `json:"key_refused,omitempty"`
	New        bool         `json:"new,omitempty"` // it came while the fleet was observed, so that what its lieutenant has done is news
	Phase      remote.Phase `json:"phase,omitempty"`
	Mark       string       `json:"mark,omitempty"`     // of the run that was told as done or failed last
	Question   string       `json:"question,omitempty"` // that was told last
	Behind     bool         `json:"behind,omitempty"`   // of its mirror
}

// ObserveFleet makes events of what is known of the API, and of a listing if it
// is the API's own.
func (e *Events) ObserveFleet(ctx context.Context, list inventory.Listing) ([]Event, error) {
	state, err := e.o.API.MemoryState()
	if err != nil {
		e.o.Logf("what is known of the API's health cannot be read: %v", err)
	}
	return e.change(ctx, func(l *ledger) {
		if err == nil {
			l.observeAPI(state)
		}
		if list.Source == outage.FromAPI {
			l.observeVMs(list.VMs)
		}
	})
}

// observeAPI compares the outage memory with what was told. Outages that began
// and ended while nobody looked are told too.
func (l *ledger) observeAPI(s retry.State) {
	k := &l.API
	if !k.Observed {
		k.Observed, l.dirty = true, true
		if n := len(s.Past); n > 0 {
			k.Told = s.Past[n-1].Start
		}
	}
	for _, o := range s.Past {
		if !o.Start.After(k.Told) {
			continue
		}
		if !k.Outage.Equal(o.Start) {
			l.add(Event{Type: APIDown, At: o.Start, Since: o.Start, Text: "the API was down"})
		}
		l.add(Event{Type: APIUp, At: o.End, Since: o.End, Lasted: o.Length(l.now).Seconds(), Text: "the API answers again, after " + span(o.Length(l.now))})
		*k = knownAPI{Observed: true, Told: o.Start}
	}
	if !k.Outage.IsZero() && (s.Outage == nil || !s.Outage.Start.Equal(k.Outage)) { // it only asked for fewer calls
		l.add(Event{Type: APIUp, Since: l.now, Lasted: l.now.Sub(k.Outage).Seconds(), Text: "the API answers again"})
		k.Condition, k.Outage = "", time.Time{}
	}
	condition := s.Condition()
	if condition == k.Condition || condition != retry.Down && condition != retry.Limited {
		return
	}
	k.Condition, k.Outage = condition, s.Outage.Start
	event := Event{Type: APILimited, Since: s.Outage.Start, Text: "the API asks for fewer calls (429)"}
	if condition == retry.Down {
		event.Type, event.Forecast = APIDown, s.Forecast(l.now).String()
		event.Text = "the API is down"
		if s.LastError != nil {
			event.Text += ": " + s.LastError.Cause.Text()
		}
	}
	l.add(event)
}

func span(d time.Duration) string { return d.Round(time.Second).String() }

// observeVMs compares a listing with the one before.
func (l *ledger) observeVMs(vms []inventory.VM) {
	listed := map[string]bool{}
	for _, vm := range vms {
		if vm.Source == outage.FromAPI {
			listed[vm.ID] = true
			l.observeVM(vm)
		}
	}
	if len(listed) == 0 { // an empty listing is believed to be a mistake
		return
	}
	for id, k := range l.VMs {
		if !listed[id] {
			l.add(Event{Type: VMGone, VMID: id, Name: k.Name, Text: title(k.Name, id) + " is no longer listed"})
			delete(l.VMs, id)
		}
	}
	l.dirty = l.dirty || !l.Listed
	l.Listed = true
}

func (l *ledger) observeVM(vm inventory.VM) {
	before, had := l.VMs[vm.ID]
	k := before
	k.Name, k.State = vm.Name, vm.State
	k.KeyMissing = !vm.Key.Recorded && vm.State != string(api.StateDead)
	k.KeyRefused = vm.Key.RefusedAt.After(vm.Key.ProvedAt)
	k.New = k.New || !had && l.Listed
	tell := func(t Type, text string) {
		l.add(Event{Type: t, VMID: vm.ID, Name: vm.Name, Text: vm.Title() + " " + text})
	}
	if !had && l.Listed {
		tell(VMNew, "is new")
	}
	if had && before.Name != "" && vm.Name != "" && before.Name != vm.Name {
		l.add(Event{Type: VMRenamed, VMID: vm.ID, Name: vm.Name, Former: before.Name, Text: before.Name + " is now called " + vm.Name})
	}
	if had && quiet(vm.State) && !quiet(before.State) {
		tell(VMPaused, "is "+vm.State)
	}
	if k.KeyMissing && !before.KeyMissing {
		tell(KeyMissing, "has no recorded key: it could not be reached in an outage")
	}
	if k.KeyRefused && !before.KeyRefused {
		tell(KeyRefused, "refuses the recorded key")
	}
	if !had || k != before {
		l.VMs[vm.ID], l.dirty = k, true
	}
}

// quiet says that a state accepts no SSH and ends with a resume.
func quiet(state string) bool {
	return state == string(api.StatePaused) || state == string(api.StateSleeping)
}

func title(name, id string) string {
	if name != "" {
		return name
	}
	return id
}

// ObservePhases makes events of what lieutenants do. What could not be asked, or
// is only remembered, makes none.
func (e *Events) ObservePhases(ctx context.Context, list ...remote.Activity) ([]Event, error) {
	return e.change(ctx, func(l *ledger) {
		for _, a := range list {
			if a.Source == outage.FromAPI && a.Phase != remote.PhaseUnknown {
				l.observePhase(a)
			}
		}
	})
}

func (l *ledger) observePhase(a remote.Activity) {
	before, had := l.VMs[a.VMID]
	k := before
	if !had {
		k.Name = a.Name
	}
	k.Phase = a.Phase
	looked := before.Phase != "" || before.New // else it may have been so for long
	event := Event{VMID: a.VMID, Name: a.Name, Since: a.Since}
	switch {
	case (a.Phase == remote.PhaseIdle || a.Phase == remote.PhaseStopped) && a.Mark != "":
		k.Mark, event.Type, event.Text = a.Mark, LieutenantDone, "is done"
		looked = looked && a.Mark != before.Mark
	case a.Phase == remote.PhaseFailed && !a.Done(): // it may yet be tried again
		return
	case a.Phase == remote.PhaseFailed:
		k.Mark, event.Type, event.Text = a.Mark, LieutenantFailed, "has failed: "+a.Text
		looked = looked && a.Mark != before.Mark
	case a.Phase == remote.PhaseWaiting && a.Question != nil:
		k.Question, event.Type, event.Question, event.Text = a.Question.ID, LieutenantWaiting, a.Question.ID, "waits for an answer: "+a.Text
		looked = before.Phase != a.Phase || before.Question != a.Question.ID
	case a.Phase == remote.PhaseSilent:
		event.Type, event.Text = LieutenantSilent, "should be working, and says nothing: "+a.Text
		looked = before.Phase != a.Phase
	case a.Phase == remote.PhaseCrashed:
		event.Type, event.Text = LieutenantCrashed, "has crashed in the middle of an answer"
		looked = looked && before.Phase != a.Phase
	}
	if event.Type != "" && looked {
		event.Text = title(a.Name, a.VMID) + " " + event.Text
		l.add(event)
	}
	if !had || k != before {
		l.VMs[a.VMID], l.dirty = k, true
	}
}

// observeMirror makes events of mirrors that are behind, and of a disk that is full
// for the reason low.
func (e *Events) observeMirror(ctx context.Context, list []MirrorVM, low string) ([]Event, error) {
	return e.change(ctx, func(l *ledger) {
		for _, v := range list {
			k, had := l.VMs[v.VMID]
			if !had || k.Behind == v.Behind {
				continue
			}
			if k.Behind = v.Behind; v.Behind {
				l.add(Event{Type: MirrorBehind, VMID: v.VMID, Name: v.Name, Since: v.HomeAt, Text: "nothing has come home from " + title(v.Name, v.VMID) + because(v.Error)})
			}
			l.VMs[v.VMID], l.dirty = k, true
		}
		if now := low != ""; now != l.DiskLow {
			if l.DiskLow, l.dirty = now, true; now {
				l.add(Event{Type: DiskLow, Text: "the mirror cannot be written" + because(low)})
			}
		}
	})
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// current is the event of the first of the types that tells what is so now,
// without having just come; nil if none is.
func (e *Events) current(types []Type, answered bool, list []remote.Activity) *Event {
	state, err := e.o.API.MemoryState()
	now := e.o.Now().UTC().Truncate(time.Second)
	for _, t := range types {
		switch {
		case t == APIUp && answered:
			return &Event{Type: t, At: now, Text: "the API answers"}
		case err == nil && (t == APIDown && state.Condition() == retry.Down || t == APILimited && state.Condition() == retry.Limited):
			return &Event{Type: t, At: now, Since: state.Outage.Start.UTC().Truncate(time.Second), Text: fmt.Sprintf("the API is %s since %s", state.Condition(), problem.Moment(state.Outage.Start))}
		}
	}
	for _, a := range list {
		l := ledger{now: now, known: known{VMs: map[string]knownVM{a.VMID: {New: true}}}}
		if l.observePhase(a); len(l.fresh) > 0 && l.fresh[0].isOf(types, "") {
			event := l.fresh[0]
			event.Seq = 0
			return &event
		}
	}
	return nil
}
