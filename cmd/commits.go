package cmd

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
)

func newCommitsCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "commits",
		Short: "The snapshots there are",
		Long: `What the platform has of commits, with those that wait here to be sent. Each
listing is recorded, so that it answers while the API is down; the name of a VM
stays with its commits when the VM is gone.`,
		Example: `  vers-fleet commits list
  vers-fleet commits list marketing -o json`,
	}
	c.AddCommand(newCommitsListCommand(env), newCommitsShowCommand(env))
	return about(c, groupEveryday, "the commits as they were listed last", exitOK, exitNotFound, exitAuth, exitUnavailable, exitStorage)
}

func newCommitsListCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "list [VM]",
		Short: "List commits, newest first",
		Long: `Lists the commits of all VMs or of one, which may be gone. STATUS is committed,
or queued, unsettled or expired of those that wait: see vers-fleet queue --help.`,
		Example: "  vers-fleet commits list\n  vers-fleet commits list marketing -o name",
		Args:    argCount(0, 1),
		RunE:    func(c *cobra.Command, args []string) error { return runCommitsList(c.Context(), env, args) },
	}
	c.ValidArgsFunction = completeVMs(env, 1)
	return about(c, "", "the commits as they were listed last", exitOK, exitNotFound, exitAuth, exitUnavailable, exitStorage)
}

func runCommitsList(ctx context.Context, env *Env, args []string) error {
	f, list, err := listCommits(ctx, env)
	if err != nil {
		return err
	}
	found := list.Commits
	if len(args) == 1 {
		if found, err = f.Commits.Of(list, args[0]); err != nil {
			return err
		}
	}
	if err := commitsListing().Print(env.Streams, env.Format(), found); err != nil {
		return err
	}
	return reportCommits(env, f, list)
}

// listCommits asks the room of commits for what there is.
func listCommits(ctx context.Context, env *Env) (*fleet.Fleet, commits.Listing, error) {
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return nil, commits.Listing{}, err
	}
	list, err := f.Commits.List(ctx)
	return f, list, err
}

// reportCommits tells where a listing came from and what it lacks.
func reportCommits(env *Env, f *fleet.Fleet, list commits.Listing) error {
	if list.Source == outage.FromCache {
		reportCached(env, f, list.AsOf, list.Outage)
	}
	if list.More {
		env.Streams.Warnf("there are more commits than are listed; the oldest are left out")
	}
	return list.Unsaved
}

func commitsListing() ui.Listing[commits.Commit] {
	return ui.Listing[commits.Commit]{
		Columns: []ui.Column[commits.Commit]{
			{Header: "COMMIT", Value: func(c commits.Commit) string { return c.CommitID }},
			{Header: "NAME", Sparse: true, Value: func(c commits.Commit) string { return dash(c.Name) }},
			{Header: "VM", Value: func(c commits.Commit) string { return dash(orID(c.VMName, c.VMID)) }},
			{Header: "GONE", Sparse: true, Value: func(c commits.Commit) string {
				if c.VMGone {
					return "gone"
				}
				return "-"
			}},
			{Header: "STATUS", Value: func(c commits.Commit) string { return c.Status }},
			{Header: "CREATED", Minor: true, Time: func(c commits.Commit) time.Time { return c.CreatedAt }},
			{Header: "ASKED", Wide: true, Time: func(c commits.Commit) time.Time { return c.AskedAt }},
			{Header: "PARENT", Wide: true, Value: func(c commits.Commit) string { return dash(c.ParentCommitID) }},
			{Header: "DESCRIPTION", Wide: true, Value: func(c commits.Commit) string { return dash(c.Description) }},
		},
		Name:  func(c commits.Commit) string { return c.CommitID },
		Empty: "there are no commits",
	}
}

func newCommitsShowCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "show COMMIT",
		Short:   "Show one commit",
		Long:    "Shows a commit, which is named by its id, a unique prefix of that, or a name\nthat no other commit has.",
		Example: "  vers-fleet commits show images-done",
		Args:    argCount(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return runCommitsShow(c.Context(), env, args[0]) },
	}
	c.ValidArgsFunction = cobra.NoFileCompletions
	return about(c, "", "the commits as they were listed last", exitOK, exitNotFound, exitAuth, exitUnavailable, exitStorage)
}

func runCommitsShow(ctx context.Context, env *Env, word string) error {
	f, list, err := listCommits(ctx, env)
	if err != nil {
		return err
	}
	commit, err := list.One(word)
	if err != nil {
		return err
	}
	now := time.Now()
	err = ui.Value{JSON: commit, Name: commit.CommitID, Text: func(w *ui.Text) {
		w.Field("commit", ui.Normal, "%s", commit.CommitID)
		w.Field("name", ui.Normal, "%s", dash(commit.Name))
		w.Field("description", ui.Normal, "%s", dash(commit.Description))
		vm := dash(orID(commit.VMName, commit.VMID))
		if commit.VMName != "" {
			vm += " (" + commit.VMID + ")"
		}
		if commit.VMGone {
			vm += ", gone"
		}
		w.Field("VM", ui.Normal, "%s", vm)
		w.Field("started from", ui.Normal, "%s", dash(commit.ParentCommitID))
		w.Field("status", ui.Normal, "%s", commit.Status)
		w.Field("created", ui.Normal, "%s", w.Time(commit.CreatedAt, now))
		w.Field("asked here", ui.Normal, "%s", w.Time(commit.AskedAt, now))
	}}.Print(env.Streams, env.Format())
	if err != nil {
		return err
	}
	return reportCommits(env, f, list)
}
