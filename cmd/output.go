package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

type outputOptions struct {
	sel     selectFlags
	names   []string
	history int
	all     bool
	since   string
	follow  bool
	raw     bool
	status  bool
	stats   bool
}

func newOutputCommand(env *Env) *cobra.Command {
	var o outputOptions
	c := &cobra.Command{
		Use:   "output VM...",
		Short: "What a lieutenant said",
		Long: `Prints the last complete answer of a lieutenant, the agent at work on a VM, read
over SSH from its event stream and, as far as that does not have it, from its
session file. Terminal escapes in it are made harmless on a terminal.
What was read is kept here. It serves when the lieutenant was started anew and,
with --offline, when the VM is gone or cannot be reached.
With --status: working, retrying (a run failed and is tried again), waiting (for
an answer: vers-fleet send --answer), silent (at work, but no event for
lieutenant.silent_after), idle, failed, stopped (its process is gone), crashed
(in the middle of an answer), or none (no lieutenant).`,
		Example: `  vers-fleet output marketing
  vers-fleet output marketing --follow
  vers-fleet output marketing --offline
  vers-fleet output -l role=lieutenant --status
  vers-fleet output marketing chad-dev --stats`,
		RunE: orPick(env, o.sel.given, func(c *cobra.Command, args []string) error {
			o.names = args
			return runOutput(c.Context(), env, o)
		}),
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	o.sel.register(env, c)
	f := c.Flags()
	f.IntVar(&o.history, "history", 1, "the last `N` answers")
	f.BoolVar(&o.all, "all-answers", false, "every answer there is")
	f.StringVar(&o.since, "since", "", "answers that ended since `TIME` (RFC 3339, or a duration such as 2h)")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on as it is written, until interrupted")
	f.BoolVar(&o.raw, "raw", false, "the JSON lines as they stand in the stream")
	f.BoolVar(&o.status, "status", false, "what it does, since when, and how many answers there are")
	f.BoolVar(&o.stats, "stats", false, "messages, tokens and cost of its session")
	c.MarkFlagsMutuallyExclusive("follow", "status", "stats", "history")
	c.MarkFlagsMutuallyExclusive("follow", "all-answers", "since")
	return about(c, groupEveryday, "connects directly with the recorded key", exitOK, exitNotFound, exitUnavailable, exitUnreachable, exitPartial)
}

func runOutput(ctx context.Context, env *Env, o outputOptions) error {
	sel, err := o.sel.selection(o.names)
	if err != nil {
		return err
	}
	since, err := parseSince("--since", o.since)
	if err != nil {
		return err
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vms, err := f.Inventory.Resolve(ctx, sel)
	if err != nil {
		return err
	}
	switch {
	case o.status:
		list, statusErr := f.Output.Activities(ctx, vms)
		if err := activityListing().Print(env.Streams, env.Format(), list); err != nil {
			return err
		}
		return statusErr
	case o.stats:
		return showUsage(ctx, env, f, vms)
	case (o.follow || o.raw) && len(vms) > 1:
		return usageError("--follow and --raw work on one VM", "", "name one VM")
	case o.follow:
		return followAnswer(ctx, env, f, vms[0], o.raw)
	case o.raw:
		return rawAnswers(ctx, env, f, vms[0], o)
	}
	list, wordsErr := f.Output.Answers(ctx, vms, remote.AnswerOptions{Unnamed: len(o.names) == 0, History: o.history, All: o.all, Since: since,
		OnRecall: func(vm inventory.VM, asOf time.Time, why string) {
			env.Streams.Notef("%s: showing what it said before, read %s: %s", vm.Title(), ui.Ago(asOf, time.Now()), why)
		}})
	if !since.IsZero() && slices.ContainsFunc(list, func(w remote.Answer) bool { return w.Ended.IsZero() }) {
		env.Streams.Warnf("the stream does not say when each answer ended, so older ones may be among these")
	}
	if err := printAnswers(env, list, len(vms) > 1); err != nil {
		return err
	}
	return wordsErr
}

// printAnswers prints answers as text, or in a machine's format.
func printAnswers(env *Env, list []remote.Answer, named bool) error {
	if !env.Format().Table() {
		return ui.Listing[remote.Answer]{Name: func(w remote.Answer) string { return orID(w.Name, w.VMID) }}.Print(env.Streams, env.Format(), list)
	}
	for i, w := range list {
		if named || len(list) > 1 {
			title := "==> " + safe.Clean(orID(w.Name, w.VMID)) + endedText(env, w.Ended) + " <==\n"
			if i > 0 {
				title = "\n" + title
			}
			if err := writeText(env.Streams.Out, title); err != nil {
				return err
			}
		}
		if err := writeText(env.Streams.Out, harmless(env, w.Text)+"\n"); err != nil {
			return err
		}
		if w.Damaged {
			env.Streams.Warnf("a part of the answer is missing from the stream")
		}
		if w.Failed != "" {
			env.Streams.Warnf("the answer ends where the run failed: %s", w.Failed)
		}
	}
	return nil
}

// endedText is " (2026-02-24T03:20:00Z)", on a terminal local time beside UTC, or
// nothing where the stream does not say when an answer ended.
func endedText(env *Env, t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case env.Streams.OutTerminal():
		return " (" + problem.Dated(t) + ")"
	}
	return " (" + ui.Absolute(t) + ")"
}

// harmless makes text harmless where a terminal would act on it.
func harmless(env *Env, text string) string {
	if env.Streams.OutTerminal() {
		return safe.Text(text)
	}
	return text
}

// rawAnswers prints the lines of the last answers as the lieutenant wrote them.
func rawAnswers(ctx context.Context, env *Env, f *fleet.Fleet, vm inventory.VM, o outputOptions) error {
	n := o.history
	if o.all {
		n = 0
	}
	if !env.Streams.OutTerminal() {
		return f.Output.Raw(ctx, vm, n, env.Streams.Out)
	}
	clean := &cleanWriter{w: env.Streams.Out}
	return errors.Join(f.Output.Raw(ctx, vm, n, clean), clean.flush())
}

func followAnswer(ctx context.Context, env *Env, f *fleet.Fleet, vm inventory.VM, raw bool) error {
	err := f.Output.Follow(ctx, vm, func(e remote.OutputEvent) error {
		switch {
		case raw && e.Raw != nil:
			return writeText(env.Streams.Out, harmless(env, string(e.Raw)))
		case e.Kind == remote.OutputText:
			return writeText(env.Streams.Out, harmless(env, e.Text))
		case e.Kind == remote.OutputEnd:
			return writeText(env.Streams.Out, "\n")
		case e.Kind == remote.OutputReset:
			env.Streams.Warnf("the stream was replaced; what follows is new")
		}
		return nil
	})
	if ctx.Err() != nil {
		return endless(ctx)
	}
	return err
}

func activityListing() ui.Listing[remote.Activity] {
	return ui.Listing[remote.Activity]{
		Columns: []ui.Column[remote.Activity]{
			{Header: "VM", Value: func(a remote.Activity) string { return orID(a.Name, a.VMID) }},
			{Header: "STATUS", Value: func(a remote.Activity) string { return string(a.Phase) }},
			{Header: "SINCE", Time: func(a remote.Activity) time.Time { return a.Since }},
			{Header: "ANSWERS", Right: true, Value: func(a remote.Activity) string {
				if a.Answers < 0 {
					return "-"
				}
				return itoa(a.Answers)
			}},
			{Header: "LAST WRITE", Wide: true, Time: func(a remote.Activity) time.Time { return a.LastWrite }},
			{Header: "STREAM", Wide: true, Right: true, Value: func(a remote.Activity) string { return ui.Bytes(a.Size) }},
			{Header: "ABOUT", Wraps: true, Sparse: true, Value: aboutActivity},
		},
		Name: func(a remote.Activity) string { return orID(a.Name, a.VMID) },
	}
}

// aboutActivity is what else there is to say of a phase: how to answer, why it
// failed or could not be asked.
func aboutActivity(a remote.Activity) string {
	if a.Question != nil {
		return a.Question.ID + ": " + a.Text
	}
	return dash(orID(a.Text, a.Error))
}

// showUsage tells what lieutenants have used, and of several the sum.
func showUsage(ctx context.Context, env *Env, f *fleet.Fleet, vms []inventory.VM) error {
	list, err := f.Output.Usage(ctx, vms)
	count := func(n func(remote.Usage) int64) func(remote.Usage) string {
		return func(u remote.Usage) string {
			if u.Error != "" {
				return "-"
			}
			return strconv.FormatInt(n(u), 10)
		}
	}
	printErr := ui.Listing[remote.Usage]{
		Columns: []ui.Column[remote.Usage]{
			{Header: "VM", Value: func(u remote.Usage) string { return orID(u.Name, u.VMID) }},
			{Header: "MESSAGES", Right: true, Value: count(func(u remote.Usage) int64 { return int64(u.Messages) })},
			{Header: "TOKENS", Right: true, Value: count(func(u remote.Usage) int64 { return u.Tokens })},
			{Header: "COST", Right: true, Value: func(u remote.Usage) string {
				if u.Error != "" {
					return "-"
				}
				return dollars(u.Cost)
			}},
			{Header: "INPUT", Wide: true, Right: true, Value: count(func(u remote.Usage) int64 { return u.InputTokens })},
			{Header: "OUTPUT", Wide: true, Right: true, Value: count(func(u remote.Usage) int64 { return u.OutputTokens })},
			{Header: "CACHE READ", Wide: true, Right: true, Value: count(func(u remote.Usage) int64 { return u.CacheReadTokens })},
			{Header: "CACHE WRITE", Wide: true, Right: true, Value: count(func(u remote.Usage) int64 { return u.CacheWriteTokens })},
			{Header: "TOOL CALLS", Wide: true, Right: true, Value: count(func(u remote.Usage) int64 { return int64(u.ToolCalls) })},
			{Header: "ERROR", Wraps: true, Sparse: true, Value: func(u remote.Usage) string { return dash(u.Error) }},
		},
		Name:  func(u remote.Usage) string { return orID(u.Name, u.VMID) },
		Empty: "no lieutenants",
	}.Print(env.Streams, env.Format(), list)
	if printErr != nil {
		return printErr
	}
	if len(list) > 1 {
		var sum remote.Usage
		for _, u := range list {
			sum = sum.Add(u)
		}
		env.Streams.Notef("%s: %d messages, %d tokens, %s", ui.Count(len(list), "lieutenant"), sum.Messages, sum.Tokens, dollars(sum.Cost))
	}
	return err
}

func dollars(cost float64) string { return fmt.Sprintf("$%.2f", cost) }

// parseSince reads a moment or a duration before now; "" is the zero time.
func parseSince(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return time.Now().Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usageError(flag+" is neither a time nor a duration", "", "write it like 2026-02-24T03:20:00Z or 2h")
	}
	return t, nil
}
