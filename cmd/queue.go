package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
)

func newQueueCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "queue",
		Short: "Commits that wait for the API",
		Long: `Commits asked for with --queue while the API was down, and commits whose
answer was lost. A queued commit captures the VM as it is when it is sent; one
that waited longer than queue.expires is dropped instead.`,
		Example: `  vers-fleet queue list
  vers-fleet queue run --wait`,
	}
	c.AddCommand(newQueueListCommand(env), newQueueRunCommand(env), newQueueDropCommand(env))
	return about(c, groupOutage, "list and drop work; run waits with --wait", exitOK, exitUnavailable, exitQueued)
}

func newQueueListCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the commits that wait",
		Long:    "Lists the commits that wait: queued (not sent yet), unsettled (sent, answer\nlost) or expired (waited too long).",
		Example: "  vers-fleet queue list -o json",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runQueueList(c.Context(), env) },
	}
	return about(c, "", "works", exitOK, exitStorage)
}

func runQueueList(ctx context.Context, env *Env) error {
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	items, listErr := f.Commits.Queue()
	if err := queueListing().Print(env.Streams, env.Format(), items); err != nil {
		return err
	}
	return listErr
}

func queueListing() ui.Listing[commits.QueueItem] {
	return ui.Listing[commits.QueueItem]{
		Columns: []ui.Column[commits.QueueItem]{
			{Header: "VM", Value: func(i commits.QueueItem) string { return orID(i.VMName, i.VMID) }},
			{Header: "STATUS", Value: func(i commits.QueueItem) string { return i.Status }},
			{Header: "ASKED", Time: func(i commits.QueueItem) time.Time { return i.CreatedAt }},
			{Header: "EXPIRES", Time: func(i commits.QueueItem) time.Time { return i.ExpiresAt }},
			{Header: "COMMIT", Value: func(i commits.QueueItem) string { return i.CommitID }},
			{Header: "LAST ERROR", Wraps: true, Sparse: true, Value: func(i commits.QueueItem) string { return dash(i.LastError) }},
		},
		Name:  func(i commits.QueueItem) string { return i.CommitID },
		Empty: "the queue is empty",
	}
}

func newQueueRunCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "run", Short: "Send what waits",
		Long: `Sends the commits that wait and settles those whose answer was lost, one
process at a time. With --wait it waits for the API first.`,
		Example: `  vers-fleet queue run --wait
  vers-fleet queue run --wait=10m`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runQueueRun(c.Context(), env) },
	}
	return about(c, "", "exit 75, everything stays queued", exitOK, exitNotFound, exitAuth, exitUnavailable, exitQueued)
}

func runQueueRun(ctx context.Context, env *Env) error {
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	results, runErr := f.Commits.RunQueue(ctx)
	if err := commitListing(false).Print(env.Streams, env.Format(), results); err != nil {
		return err
	}
	return runErr
}

type queueDropOptions struct {
	ids             []string
	all, force, yes bool
}

func newQueueDropCommand(env *Env) *cobra.Command {
	var o queueDropOptions
	c := &cobra.Command{
		Use: "drop [COMMIT...]", Short: "Forget commits that wait",
		Long: `Forgets commits that wait, so that they are never sent. One that was sent may
have been taken all the same; it is dropped only with --force. --all asks first;
--yes answers for scripts.`,
		Example: "  vers-fleet queue drop 7d1c\n  vers-fleet queue drop --all --yes",
		RunE: func(c *cobra.Command, args []string) error {
			o.ids = args
			return runQueueDrop(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeQueued(env)
	c.Flags().BoolVar(&o.all, "all", false, "every commit that waits")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&o.force, "force", false, "also what was sent without an answer")
	return about(c, "", "works", exitOK, exitNotFound, exitStorage)
}

// completeQueued completes the ids of commits that wait.
func completeQueued(env *Env) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		f, err := recordedFleet(env)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		items, _ := f.Commits.Queue()
		var out []cobra.Completion
		for _, i := range items {
			if strings.HasPrefix(i.CommitID, word) && !slices.Contains(args, i.CommitID) {
				out = append(out, offer(i.CommitID, orID(i.VMName, i.VMID)+" "+i.Status)...)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func runQueueDrop(ctx context.Context, env *Env, o queueDropOptions) error {
	if (len(o.ids) == 0) != o.all {
		return usageError("name the commits to drop, or use --all", "", "see: vers-fleet queue list")
	}
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	if o.all && !o.yes {
		items, err := f.Commits.Queue()
		if len(items) > 0 {
			err = env.confirm(ctx, fmt.Sprintf("Forget %s, so that no snapshot is taken?", ui.Count(len(items), "waiting commit")))
		}
		if err != nil {
			return err
		}
	}
	dropped, err := f.Commits.Drop(ctx, o.ids, o.force)
	for _, i := range dropped {
		env.Streams.Notef("dropped the commit of %s (%s)", orID(i.VMName, i.VMID), i.CommitID)
	}
	return err
}
