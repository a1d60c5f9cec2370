package remote

import (
	"context"
	"errors"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

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
