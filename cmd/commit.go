package cmd

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

type commitOptions struct {
	sel     selectFlags
	names   []string
	pullNow string
	pull    bool
	commits.Request
}

func newCommitCommand(env *Env) *cobra.Command {
	var o commitOptions
	c := &cobra.Command{
		Use:   "commit SELECTOR...",
		Short: "Snapshot VMs, exactly once each",
		Long: `Snapshots VMs. The id of each commit is chosen here and written to a journal
before the first request, so a repeated request can never snapshot twice, and
a crash never loses one: it is committed, refused, or in the queue.
With --queue a commit asked for while the API is down is sent later by
vers-fleet queue run; it captures the VM as it is then, not as it is now. One
commit of a VM waits at a time, so cron may ask again and again.`,
		Example: `  vers-fleet commit marketing --name images-done
  vers-fleet commit --all --queue
  vers-fleet commit marketing --pull-now`,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return runCommit(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = completeVMs(env, 0)
	o.sel.register(env, c)
	f := c.Flags()
	f.StringVar(&o.Name, "name", "", "`NAME` of the commit")
	f.StringVar(&o.Description, "description", "", "`TEXT` that describes the commit")
	f.BoolVar(&o.KeepPaused, "keep-paused", false, "leave the VM paused afterwards")
	f.BoolVar(&o.Queue, "queue", false, "API down: leave it to be sent later (exit 75)")
	f.BoolVar(&o.Again, "again", false, "with --queue: queue another one although one for the VM waits already")
	f.DurationVar(&o.TTL, "expires", 0, "a queued commit is not sent after `DURATION` (default: queue.expires)")
	f.BoolVar(&o.pull, "pull-now", false, "API down: pull the VM's work to this machine at once, and queue the commit")
	f.StringVar(&o.pullNow, "pull-dest", ".", "`FOLDER` for --pull-now; each VM has its own below it")
	return about(c, groupEveryday, "nothing is sent, exit 5; with --queue it waits, exit 75",
		exitOK, exitNotFound, exitAuth, exitUnavailable, exitPartial, exitStorage, exitQueued)
}

func runCommit(ctx context.Context, env *Env, o commitOptions) error {
	sel, err := o.sel.selection(o.names)
	if err != nil {
		return err
	}
	o.Queue = o.Queue || o.pull
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vms, err := f.Inventory.ResolveLive(ctx, outage.AsAsked, "commit", sel) // a name may have moved to another VM
	if err != nil {
		return err
	}
	results, commitErr := f.Commits.All(ctx, vms, o.Request)
	if err := commitListing(saysAllAlike(env, results)).Print(env.Streams, env.Format(), results); err != nil {
		return err
	}
	if o.pull && problem.KindOf(commitErr) == problem.Queued {
		if err := pullForCommit(ctx, env, f, vms, o.pullNow); err != nil {
			return err
		}
	}
	return commitErr
}

// pullForCommit saves the work of VMs whose commit must wait.
func pullForCommit(ctx context.Context, env *Env, f *fleet.Fleet, vms []inventory.VM, dest string) error {
	req := remote.PullRequest{Dest: dest, PerVM: true}
	for _, vm := range vms {
		req.Items = append(req.Items, remote.PullItem{VM: vm})
	}
	results, err := doPull(ctx, env, f, req, false)
	for _, r := range results {
		env.Streams.Notef("%s: %d files, %s saved in %s", orID(r.VMName, r.VMID), r.Files+r.Unchanged, ui.Bytes(r.Bytes), r.Dest)
	}
	return err
}

// saysAllAlike reports whether people read the one reason why no commit was taken
// beneath the table, so that it need not stand in every row.
func saysAllAlike(env *Env, results []commits.Result) bool {
	other := func(r commits.Result) bool { return r.Error == "" || r.Error != results[0].Error }
	return env.Format().Table() && env.Streams.OutTerminal() && !slices.ContainsFunc(results, other)
}

func commitListing(alike bool) ui.Listing[commits.Result] {
	return ui.Listing[commits.Result]{
		Columns: []ui.Column[commits.Result]{
			{Header: "VM", Value: func(r commits.Result) string { return orID(r.VMName, r.VMID) }},
			{Header: "STATUS", Value: func(r commits.Result) string { return r.Status }, Style: commitStyle},
			{Header: "COMMIT", Value: func(r commits.Result) string {
				if r.Status == commits.StatusFailed { // there is no commit of this id
					return "-"
				}
				return r.CommitID
			}},
			{Header: "AT", Wide: true, Time: func(r commits.Result) time.Time { return r.At }},
			{Header: "ERROR", Wraps: true, Sparse: true, Value: func(r commits.Result) string {
				if alike {
					return "-"
				}
				return dash(r.Error)
			}},
		},
		Name:  func(r commits.Result) string { return r.CommitID },
		Empty: "the queue is empty", // commit itself always has one
	}
}

func commitStyle(r commits.Result) ui.Style {
	switch r.Status {
	case commits.StatusCommitted:
		return ui.Good
	case commits.StatusFailed, commits.StatusExpired:
		return ui.Bad
	}
	return ui.Faint
}
