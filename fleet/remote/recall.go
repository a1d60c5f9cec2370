package remote

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// What was found out about lieutenants is kept for the day it cannot be asked
// for. What they said lies where it is sealed when the keys are, one document
// for each VM; the rest in one document in the clear.
const (
	phasesDoc     = "phases"
	answersFolder = "answers"
)

// Bounds of what is kept of one lieutenant: its newest answers.
const (
	mostKept     = 50
	mostKeptText = 1 << 20 // bytes of all of them
)

// mostAnswered is of how many questions it is kept that they were answered.
const mostAnswered = 20

// memory is what is kept of a lieutenant in the clear.
type memory struct {
	Phase    lieutenant.Phase    `json:"phase,omitempty"`
	Since    time.Time           `json:"since,omitzero"`
	AsOf     time.Time           `json:"as_of,omitzero"` // when it was asked for its phase
	Answered []string            `json:"answered,omitempty"`
	Sessions lieutenant.Sessions `json:"sessions,omitzero"`
}

type memories struct {
	Version int               `json:"version"`
	VMs     map[string]memory `json:"vms"`
}

// recall reads what is kept in the clear, by VM id. It only helps, so that what
// cannot be read is as good as nothing.
func (l *Output) recall() map[string]memory {
	data, err := l.o.Store.Doc(phasesDoc).Read()
	var m memories
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil && !keystore.IsNotFound(err) {
		l.o.Logf("what was known of lieutenants cannot be read: %v", err)
	}
	return m.VMs
}

// remember changes what is kept in the clear.
func (l *Output) remember(ctx context.Context, change func(map[string]memory)) {
	err := l.o.Store.Doc(phasesDoc).Volatile().Update(context.WithoutCancel(ctx), func(old []byte) ([]byte, error) {
		m := memories{}
		if json.Unmarshal(old, &m) != nil || m.VMs == nil {
			m.VMs = map[string]memory{}
		}
		change(m.VMs)
		m.Version = 1
		return json.Marshal(m)
	})
	if err != nil {
		l.o.Logf("what is known of lieutenants could not be kept: %v", err)
	}
}

func (l *Output) rememberSessions(ctx context.Context, vm inventory.VM, known memory, now lieutenant.Sessions) {
	if now.Stream == known.Sessions.Stream && slices.Equal(now.Files, known.Sessions.Files) {
		return
	}
	l.remember(ctx, func(vms map[string]memory) {
		m := vms[vm.ID]
		m.Sessions = now
		vms[vm.ID] = m
	})
}

func (l *Output) rememberAnswered(ctx context.Context, vm inventory.VM, id string) {
	l.remember(ctx, func(vms map[string]memory) {
		m := vms[vm.ID]
		m.Answered = append(m.Answered, id)
		m.Answered = m.Answered[max(0, len(m.Answered)-mostAnswered):]
		vms[vm.ID] = m
	})
}

// Forget drops what is kept of a VM's lieutenant.
func (l *Output) Forget(vmID string) {
	ctx := context.Background()
	if _, known := l.recall()[vmID]; known {
		l.remember(ctx, func(vms map[string]memory) { delete(vms, vmID) })
	}
	if err := l.o.Store.Sealed(answersFolder).Remove(ctx, vmID); err != nil {
		l.o.Warn("what the lieutenant said could not be forgotten: " + err.Error())
	}
}

// keptAnswers is what is kept of what a lieutenant said.
type keptAnswers struct {
	Version int                 `json:"version"`
	AsOf    time.Time           `json:"as_of"` // when it was read last
	Answers []lieutenant.Answer `json:"answers"`
}

// keep adds answers that were just read to those that are kept, and returns
// what was kept before and as of when. It asks nobody for a passphrase: rather
// than that nothing is kept.
func (l *Output) keep(ctx context.Context, vm inventory.VM, answers []lieutenant.Answer) ([]lieutenant.Answer, time.Time) {
	var before keptAnswers
	err := l.o.Store.Sealed(answersFolder).Update(context.WithoutCancel(ctx), vm.ID, func(old []byte) ([]byte, error) {
		before = keptAnswers{}
		_ = json.Unmarshal(old, &before) // what cannot be read is written anew
		if len(answers) == 0 {
			return nil, nil
		}
		return json.Marshal(keptAnswers{Version: 1, AsOf: l.o.Now().UTC(), Answers: newest(lieutenant.Join(before.Answers, answers))})
	})
	if err != nil {
		l.o.Logf("what %s said could not be kept: %v", vm.Title(), err)
	}
	return before.Answers, before.AsOf
}

// newest are as many of the answers as may be kept.
func newest(answers []lieutenant.Answer) []lieutenant.Answer {
	answers = slices.Clone(answers[max(0, len(answers)-mostKept):])
	room := mostKeptText
	for i := len(answers) - 1; i >= 0; i-- {
		if room -= len(answers[i].Text); room >= 0 {
			continue
		}
		if i < len(answers)-1 {
			return answers[i+1:]
		}
		text := answers[i].Text
		answers[i].Text, answers[i].Damaged = text[len(text)-mostKeptText:], true
		return answers[i:]
	}
	return answers
}

// mayRecall reports whether what is kept may serve instead of what failed with
// err: for a VM that said there is nothing always, and for one that cannot be
// asked when --offline wants what is here. --live wants nothing kept.
func (l *Output) mayRecall(how access.How, err error, said bool) bool {
	switch problem.KindOf(err) {
	case problem.Interrupted, problem.Identity, problem.Usage:
		return false
	}
	return said && l.o.API.CacheFirst(how.Mode) || l.o.API.Forbidden(how.Mode)
}

// hint adds to the error of a VM that cannot be reached that what it said
// before is here.
func (l *Output) hint(vm inventory.VM, err error) error {
	var e *problem.Error
	if !errors.As(err, &e) || e.Kind != problem.Unreachable && e.Kind != problem.LoginRefused && e.Kind != problem.Unavailable || !l.o.Store.Sealed(answersFolder).Has(vm.ID) {
		return err
	}
	hinted := *e
	kept := "what it said before is kept here: vers-fleet output " + vm.Arg() + " --offline"
	if hinted.Next != "" {
		kept = hinted.Next + "; " + kept
	}
	hinted.Next = kept
	return &hinted
}

// recalled are the kept answers that q selects, of a VM that cannot be asked
// because of err.
func (l *Output) recalled(vm inventory.VM, q lieutenant.Query, o AnswerOptions, err error) ([]Answer, error) {
	var kept keptAnswers
	data, readErr := l.o.Store.Sealed(answersFolder).Read(vm.ID)
	if readErr == nil {
		readErr = json.Unmarshal(data, &kept)
	}
	if readErr != nil && !keystore.IsNotFound(readErr) {
		return nil, problem.OfStorage("read what "+vm.Title()+" said", readErr)
	}
	list := wanted(kept.Answers, q, 0)
	if readErr != nil || len(list) == 0 && q.Since.IsZero() {
		return nil, err
	}
	o.OnRecall(vm, kept.AsOf, problem.Why(err))
	return l.present(vm, list, outage.FromCache, kept.AsOf), nil
}

// activity is what the lieutenant did when it was asked last; false if
// nothing is known.
func (m memory) activity(vm inventory.VM) (Activity, bool) {
	return Activity{VMID: vm.ID, Name: vm.Name, Phase: m.Phase, Since: m.Since, Answers: -1, Source: outage.FromCache, AsOf: m.AsOf}, m.Phase != ""
}

// RecallPhases notes in each VM what its lieutenant did when it was asked last.
// It asks nobody.
func (l *Output) RecallPhases(vms []inventory.VM) {
	known := l.recall()
	for i, vm := range vms {
		if m := known[vm.ID]; m.Phase != "" && !m.AsOf.Before(vm.PhaseAsOf) {
			vms[i].Phase, vms[i].PhaseSince, vms[i].PhaseAsOf = string(m.Phase), m.Since, m.AsOf
		}
	}
}
