package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

const diffName = "diff"

func newDiffCommand(env *Env) *cobra.Command {
	o := pullOptions{verb: diffName, place: "DIR"}
	c := &cobra.Command{
		Use:   "diff SELECTOR[:PATH]... [DIR]",
		Short: "Tell what a pull would change: is my copy complete?",
		Long: `Compares files on VMs with their copies here as pull would, and writes nothing
at either end. The same words that pulled them compare them: where PATH lands in
DIR, and what DIR is by default, is as with pull. Each item is the same,
changed, missing here, or extra: here and not on the VM. Files are compared by
size and time, with --checksum by content.
The exit code is 0 when all is the same, and 1 when something differs and for no
other reason.`,
		Example: `  vers-fleet diff marketing
  vers-fleet diff marketing:/root/workspace/images/ ./images
  vers-fleet diff --all ./rescue --checksum
  vers-fleet diff marketing -o json --jq '.[].differences[].path'`,
		RunE: orPick(env, o.sel.given, func(c *cobra.Command, args []string) error {
			o.args = args
			return onlyDifferentIsOne(runDiff(c.Context(), env, o))
		}),
	}
	c.ValidArgsFunction = completeVMPaths(env)
	f := c.Flags()
	o.sel.register(env, c)
	f.StringVar(&o.dest, "dest", "", "`FOLDER` to compare with, instead of the last argument")
	f.IntVarP(&o.jobs, "jobs", "j", remote.PullJobs, "work on `N` VMs side by side")
	f.BoolVar(&o.transfer.Checksum, "checksum", false, "compare content where the sizes agree")
	o.registerWhich(f)
	return about(c, groupEveryday, "connects directly with the recorded keys",
		exitOK, exitNotFound, exitUnavailable, exitUnreachable, exitPartial, exitIdentity, exitStorage)
}

// onlyDifferentIsOne keeps exit code 1 for what differs: what is unexpected has
// kept the comparison from being whole.
func onlyDifferentIsOne(err error) error {
	var differ differsError
	if err == nil || errors.As(err, &differ) {
		return err
	}
	if v, _ := view(err); v.ExitCode == exitDifferent {
		return &codeError{code: exitPartial, err: err}
	}
	return err
}

func runDiff(ctx context.Context, env *Env, o pullOptions) error {
	if err := o.limits(); err != nil {
		return err
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	sources, dir, err := o.split(f)
	if err != nil {
		return err
	}
	if dir == toStdout {
		return usageError("- is no folder to compare with", "", "a folder of that name is ./-")
	}
	items, err := o.items(ctx, f, sources)
	if err != nil {
		return err
	}
	if err := env.confine(); err != nil {
		return err
	}
	results, diffErr := doDiff(ctx, env, f, remote.PullRequest{Items: items, Dest: dir, Jobs: o.jobs, PerVM: o.sel.given(), Options: o.transfer})
	if err := printDiff(env, results); err != nil {
		return err
	}
	different := reportDiff(env, results)
	if diffErr == nil && different > 0 {
		return differsError(fmt.Sprintf("%s from %s", ui.Count(different, "difference"), ui.Count(int64(len(results)), "VM")))
	}
	return diffErr
}

// doDiff compares, and tells of lost connections and VMs that are late.
func doDiff(ctx context.Context, env *Env, f *fleet.Fleet, req remote.PullRequest) ([]remote.DiffResult, error) {
	wait := env.Streams.NewWaiter()
	wait.Start("comparing")
	defer wait.Stop()
	req.OnWaiting = env.reportWaiting
	req.OnEvent = func(vm inventory.VM, e remote.TransferEvent) {
		if e.Kind == remote.EventRetry {
			env.Streams.Warnf("%s: %s", vm.Title(), e.Reason)
		}
	}
	return f.Remote.Diff(ctx, req)
}

// diffRow is a difference in a table.
type diffRow struct {
	vm string
	remote.Difference
}

// printDiff prints a row for each difference, or with -o json an element for each VM.
func printDiff(env *Env, results []remote.DiffResult) error {
	if env.Format().Machine() {
		return ui.Listing[remote.DiffResult]{}.Print(env.Streams, env.Format(), results)
	}
	var rows []diffRow
	for _, r := range results {
		for _, d := range r.Differences {
			rows = append(rows, diffRow{orID(r.VMName, r.VMID), d})
		}
	}
	return diffListing().Print(env.Streams, env.Format(), rows)
}

func diffListing() ui.Listing[diffRow] {
	size := func(side func(diffRow) *remote.Side) func(diffRow) string {
		return func(r diffRow) string {
			if s := side(r); s != nil && r.Type == remote.TypeFile {
				return ui.Bytes(s.Size)
			}
			return "-"
		}
	}
	at := func(side func(diffRow) *remote.Side) func(diffRow) time.Time {
		return func(r diffRow) time.Time {
			if s := side(r); s != nil {
				return s.ModTime
			}
			return time.Time{}
		}
	}
	vm, here := func(r diffRow) *remote.Side { return r.VM }, func(r diffRow) *remote.Side { return r.Here }
	return ui.Listing[diffRow]{
		Columns: []ui.Column[diffRow]{
			{Header: "VM", Value: func(r diffRow) string { return r.vm }},
			{Header: "STATE", Value: func(r diffRow) string { return string(r.State) }},
			{Header: "WHY", Sparse: true, Value: func(r diffRow) string { return dash(r.Why) }},
			{Header: "ON VM", Right: true, Value: size(vm)},
			{Header: "HERE", Right: true, Sparse: true, Value: size(here)},
			{Header: "CHANGED ON VM", Wide: true, Time: at(vm)},
			{Header: "CHANGED HERE", Wide: true, Time: at(here)},
			{Header: "PATH", Value: func(r diffRow) string {
				if r.Type == remote.TypeDir {
					return r.Path + "/"
				}
				return r.Path
			}},
		},
		Name: func(r diffRow) string { return r.Path },
	}
}

// reportDiff tells each VM's sum on stderr, and returns how much differs.
func reportDiff(env *Env, results []remote.DiffResult) (different int64) {
	for _, r := range results {
		name, differs := orID(r.VMName, r.VMID), r.Changed+r.Missing+r.Extra
		different += differs
		if r.Error != "" {
			if len(results) > 1 {
				env.Streams.Warnf("%s: %s", name, r.Error)
			}
			continue
		}
		if _, err := os.Stat(r.Dest); errors.Is(err, os.ErrNotExist) {
			env.Streams.Notef("%s: there is no folder %s here", name, safe.Clean(r.Dest))
		}
		env.Streams.Notef("%s: %d same, %d changed, %d missing, %d extra in %s", name, r.Same, r.Changed, r.Missing, r.Extra, safe.Clean(r.Dest))
		reportDiffRest(env, name, r)
	}
	return different
}

// reportDiffRest tells what was not compared, or not listed.
func reportDiffRest(env *Env, name string, r remote.DiffResult) {
	if more := r.Changed + r.Missing + r.Extra - int64(len(r.Differences)); more > 0 {
		env.Streams.Warnf("%s: %d more differences are not listed", name, more)
	}
	for _, f := range firstOf(r.Failures) {
		env.Streams.Warnf("%s: %s", name, failureText(f))
	}
	if r.Failed > maxShown {
		env.Streams.Warnf("%s: and %d more could not be compared", name, r.Failed-maxShown)
	}
	if r.Outward > 0 {
		env.Streams.Notef("%s: left out %s leading out of the folder; --all-links compares such links", name, ui.Count(r.Outward, "symlink"))
	}
	if r.Dotfiles > 0 {
		env.Streams.Notef("%s: left out %s, as DIR is your home folder; --dotfiles compares them too", name, ui.Count(r.Dotfiles, "dotfile"))
	}
}
