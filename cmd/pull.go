package cmd

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

type pullOptions struct {
	sel      selectFlags
	args     []string
	dest     string
	jobs     int
	receipt  string
	newer    string
	watch    time.Duration
	whenDone bool
	maxSize  string
	maxTotal string
	keepFree string
	transfer remote.PullOptions
}

func newPullCommand(env *Env) *cobra.Command {
	var o pullOptions
	c := &cobra.Command{
		Use:   "pull SELECTOR[:PATH]... [DEST]",
		Short: "Bring files home from one VM or many",
		Long: `Fetches files and folders, checks each by SHA-256 where the VM can, and renames
it into place only when it is whole. A second run fetches what is missing or
changed; an interrupted one goes on where it stopped.
An item lands inside DEST under its own name; with a trailing slash its
contents land in DEST itself. Without PATH the configured pull.paths are
fetched. DEST defaults to . for one VM with a PATH, else to a folder named
after the VM; with several VMs each has its own folder in DEST.`,
		Example: `  vers-fleet pull marketing
  vers-fleet pull marketing:/root/workspace/images/ ./images
  vers-fleet pull --all ./rescue
  vers-fleet pull -l role=lieutenant :/root/workspace ./rescue`,
		RunE: orPick(env, o.sel.given, func(c *cobra.Command, args []string) error {
			o.args = args
			return runPull(c.Context(), env, o)
		}),
	}
	c.ValidArgsFunction = completeVMPaths(env)
	o.register(c)
	return about(c, groupEveryday, "connects directly with the recorded keys",
		exitOK, exitNotFound, exitUnavailable, exitUnreachable, exitPartial, exitIdentity, exitStorage)
}

func (o *pullOptions) register(c *cobra.Command) {
	f := c.Flags()
	o.sel.register(f)
	t := &o.transfer
	f.StringVar(&o.dest, "dest", "", "`FOLDER` to pull into, instead of the last argument")
	f.IntVarP(&o.jobs, "jobs", "j", remote.PullJobs, "work on `N` VMs side by side")
	f.BoolVarP(&t.DryRun, "dry-run", "n", false, "say what would be fetched, change nothing")
	f.BoolVar(&t.Checksum, "checksum", false, "compare content where size and time agree")
	f.BoolVar(&t.Delete, "delete", false, "remove from DEST what is not on the VM; needs a DEST")
	f.StringArrayVar(&t.Include, "include", nil, "only files that match this gitignore `PATTERN`")
	f.StringArrayVar(&t.Exclude, "exclude", nil, "no files that match this gitignore `PATTERN`")
	f.BoolVar(&t.GitIgnore, "gitignore", false, "heed the .gitignore files on the VM")
	f.BoolVar(&t.AllLinks, "all-links", false, "keep symlinks that lead out of DEST too")
	f.BoolVar(&t.Fsync, "fsync", false, "flush each file, not all at the end")
	f.StringVar(&o.maxSize, "max-size", "", "skip files larger than `SIZE` (such as 100M)")
	f.StringVar(&o.maxTotal, "max-total", "", "fetch no more than `SIZE` from each VM")
	f.StringVar(&o.keepFree, "keep-free", "256M", "`SIZE` that stays free on the disk here")
	f.StringVar(&o.newer, "newer", "", "only files changed since `TIME` (RFC 3339, or a duration such as 2h)")
	addWatchFlag(f, &o.watch, 30*time.Second, "keep the mirror fresh, looking again and again, until interrupted")
	f.BoolVar(&o.whenDone, "when-done", false, "wait until the lieutenant is idle, then pull")
	f.StringVar(&o.receipt, "receipt", "", "write a manifest with hashes to `FILE`")
	c.MarkFlagsMutuallyExclusive("watch", "when-done")
	c.MarkFlagsMutuallyExclusive("watch", "dry-run")
	c.MarkFlagsMutuallyExclusive("watch", "receipt")
	c.MarkFlagsMutuallyExclusive("dry-run", "receipt")
}

func runPull(ctx context.Context, env *Env, o pullOptions) error {
	if err := o.limits(); err != nil {
		return err
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	sources, dest, err := o.split(f)
	if err != nil {
		return err
	}
	if err := meantInterval(o.watch, dest); err != nil {
		return err
	}
	items, err := o.items(ctx, f, sources)
	if err != nil {
		return err
	}
	o.transfer.KeepManifest = o.receipt != ""
	req := remote.PullRequest{Items: items, Dest: dest, Jobs: o.jobs, Options: o.transfer, PerVM: o.sel.given()}
	switch {
	case o.watch > 0:
		return watchPull(ctx, env, f, o, req)
	case o.whenDone:
		if err := awaitIdle(ctx, env, f, items); err != nil {
			return err
		}
	}
	results, pullErr := doPull(ctx, env, f, req)
	if o.receipt != "" {
		if err := f.Remote.WriteReceipt(o.receipt, results); err != nil {
			return err
		}
	}
	verb := fetching(o.transfer.DryRun)
	if !env.Format().Lines() {
		if err := transferListing(verb).Print(env.Streams, env.Format(), results); err != nil {
			return err
		}
	}
	reportTransfer(env, results, verb)
	return pullErr
}

// limits parses the sizes and the time.
func (o *pullOptions) limits() (err error) {
	t := &o.transfer
	for _, l := range []struct {
		flag, text string
		into       *int64
	}{{"--max-size", o.maxSize, &t.MaxSize}, {"--max-total", o.maxTotal, &t.MaxTotal}, {"--keep-free", o.keepFree, &t.FreeSpace}} {
		if *l.into, err = parseSize(l.text); err != nil {
			return usageError(l.flag+" is not a size", err.Error(), "write it like 500K, 100M or 2G")
		}
	}
	t.Newer, err = parseSince("--newer", o.newer)
	return err
}

// pullSource is one SELECTOR[:PATH] of the command line.
type pullSource struct{ name, path string }

// split separates sources and DEST. The last argument is DEST when it looks
// like a path, or when it is a bare word that names no VM; a word that could
// be both is refused rather than guessed.
func (o pullOptions) split(f *fleet.Fleet) (sources []pullSource, dest string, err error) {
	args := o.args
	least := 1
	if o.sel.given() {
		least = 0
	}
	if o.dest == "" && len(args) > least {
		last := args[len(args)-1]
		isDest, err := looksLikeDest(f, last)
		if err != nil {
			return nil, "", err
		}
		if isDest {
			dest, args = last, args[:len(args)-1]
		}
	}
	if o.dest != "" {
		dest = o.dest
	}
	if o.transfer.Delete && dest == "" {
		return nil, "", usageError("--delete needs a DEST", "it removes what is there and not on the VM", "name the folder, even if it is the current one: .")
	}
	for _, a := range args {
		name, path, _ := strings.Cut(a, ":")
		if (name == "") != o.sel.given() {
			return nil, "", usageError("cannot tell what to pull: "+ui.Clean(a), "with --all or -l, sources are written :PATH; without, SELECTOR[:PATH]",
				"for example: vers-fleet pull --all :/root/workspace ./rescue")
		}
		sources = append(sources, pullSource{name, path})
	}
	if len(sources) == 0 && !o.sel.given() {
		return nil, "", usageError("no VM was chosen", "", "usage: vers-fleet pull SELECTOR[:PATH]... [DEST]; see the names with: vers-fleet vms")
	}
	return sources, dest, nil
}

func looksLikeDest(f *fleet.Fleet, arg string) (bool, error) {
	if strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "~") {
		return true, nil
	}
	if strings.Contains(arg, ":") {
		return false, nil
	}
	if strings.ContainsAny(arg, `/\`) {
		return true, nil
	}
	_, statErr := os.Stat(arg)
	isVM := f.Inventory.Knows(arg)
	if isVM && statErr == nil {
		return false, usageError(ui.Clean(arg)+" is a VM and a folder here", "", "write ./"+ui.Clean(arg)+" for the folder, or "+ui.Clean(arg)+": for the VM")
	}
	return !isVM, nil
}

// items resolves the sources and groups the paths by VM.
func (o pullOptions) items(ctx context.Context, f *fleet.Fleet, sources []pullSource) ([]remote.PullItem, error) {
	var items []remote.PullItem
	if o.sel.given() {
		sel, err := o.sel.selection(nil)
		if err != nil {
			return nil, err
		}
		vms, err := f.Inventory.Resolve(ctx, sel)
		for _, vm := range vms {
			item := remote.PullItem{VM: vm}
			for _, s := range sources {
				if s.path != "" {
					item.Paths = append(item.Paths, s.path)
				}
			}
			items = append(items, item)
		}
		return items, err
	}
	for _, s := range sources {
		vm, err := f.Inventory.One(ctx, s.name)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(items, func(it remote.PullItem) bool { return it.VM.ID == vm.ID })
		if i < 0 {
			items = append(items, remote.PullItem{VM: vm})
			i = len(items) - 1
		}
		if s.path != "" {
			items[i].Paths = append(items[i].Paths, s.path)
		}
	}
	return items, nil
}
