package mcpserver

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

func (s *Server) addAgentTools() {
	add(s, spec{name: "vm_output", title: "What a lieutenant said", foreign: true, bulk: "text",
		about: "The last complete answer (or several) of the agent at work on a VM. What was read before serves where the VM has less."}, output)
	add(s, spec{name: "vm_status", title: "What a lieutenant does", foreign: true,
		about: "Phase of the agent on a VM: working, waiting (for an answer to question: vm_send with answer), idle, failed, crashed, none, ...; with usage also tokens and cost."}, activity)
	add(s, spec{name: "vm_wait", title: "Wait for a lieutenant", foreign: true,
		about: "Return when the agent's task on a VM is over, or after at most 40 seconds with done=false: then call again. A question it asks ends the wait too."}, wait)
}

type outputInput struct {
	page
	VM      string `json:"vm" jsonschema:"name, id or prefix of an id"`
	History int    `json:"history,omitempty" jsonschema:"the last so many answers; default 1"`
}

type outputOutput struct {
	Text     string    `json:"text"`
	Answers  int       `json:"answers"`
	Complete bool      `json:"complete"`
	Failed   string    `json:"failed,omitempty"`
	EndedAt  time.Time `json:"ended_at,omitzero"`
	Recalled string    `json:"recalled,omitempty"`
	origin
}

// betweenAnswers stands between two answers of a history.
const betweenAnswers = "\n\n----------\n\n"

func output(ctx context.Context, c *call, in outputInput) (outputOutput, error) {
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return outputOutput{}, err
	}
	return c.said(ctx, vm, max(1, in.History))
}

// said is what a lieutenant said last.
func (c *call) said(ctx context.Context, vm inventory.VM, history int) (outputOutput, error) {
	var out outputOutput
	list, err := c.Output.Answers(ctx, []inventory.VM{vm}, remote.AnswerOptions{History: history,
		OnRecall: func(_ inventory.VM, _ time.Time, why string) { out.Recalled = why }})
	var texts []string
	for _, a := range list {
		texts = append(texts, a.Text)
		out.Complete, out.Failed, out.EndedAt, out.origin = a.Complete, a.Failed, a.Ended, origin{a.Source, a.AsOf}
	}
	out.Text, out.Answers = strings.Join(texts, betweenAnswers), len(list)
	return out, err
}

type activityInput struct {
	VM    string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Usage bool   `json:"usage,omitempty" jsonschema:"also ask for tokens and cost"`
}

type activityOutput struct {
	remote.Activity
	Usage *remote.Usage `json:"usage,omitempty"`
}

func activity(ctx context.Context, c *call, in activityInput) (activityOutput, error) {
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return activityOutput{}, err
	}
	list, err := c.Output.Activities(ctx, []inventory.VM{vm})
	var out activityOutput
	if len(list) > 0 {
		out.Activity = list[0]
	}
	if err != nil || !in.Usage || out.Phase == remote.PhaseNone {
		return out, err
	}
	used, err := c.Output.Usage(ctx, []inventory.VM{vm})
	if len(used) > 0 {
		out.Usage = &used[0]
	}
	return out, err
}

type waitInput struct {
	VM      string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Seconds int    `json:"seconds,omitempty" jsonschema:"at most this long; 40 if not given, and never more"`
}

type waitOutput struct {
	Done bool `json:"done"`
	remote.Activity
}

// maxWait keeps a call shorter than what clients allow one.
const maxWait = 40 * time.Second

func wait(ctx context.Context, c *call, in waitInput) (waitOutput, error) {
	limit := maxWait
	if in.Seconds > 0 {
		limit = min(maxWait, time.Duration(in.Seconds)*time.Second)
	}
	return c.wait(ctx, in.VM, limit)
}

var errAsked = errors.New("a question is open")

// wait waits for the end of a lieutenant's task, or for a question, for so long.
func (c *call) wait(ctx context.Context, name string, limit time.Duration) (waitOutput, error) {
	var out waitOutput
	limited, stop := context.WithTimeout(ctx, limit)
	defer stop()
	vm, err := c.vm(limited, name)
	if err != nil {
		return out, err
	}
	limited, answer := context.WithCancelCause(limited)
	defer answer(nil)
	end, err := c.Output.AwaitDone(limited, vm, func(a remote.Activity) {
		out.Activity = a
		c.progress(ctx, "%s: %s", vm.Title(), a.Phase)
		if a.Question != nil {
			answer(errAsked)
		}
	})
	switch {
	case err == nil:
		return waitOutput{true, end}, nil
	case ctx.Err() == nil && limited.Err() != nil: // it was not given up, it took long
		return c.stillAt(vm, out), nil
	}
	return out, err
}

// stillAt is what a wait tells that was over before the task.
func (c *call) stillAt(vm inventory.VM, out waitOutput) waitOutput {
	if out.VMID == "" {
		out.Activity = remote.Activity{VMID: vm.ID, Name: vm.Name, Phase: remote.PhaseUnknown}
	}
	return out
}
