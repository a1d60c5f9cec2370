package cmd

import (
	"cmp"
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd/confine"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

type pullOptions struct {
	verb     string // the command, and what its help calls the folder
	place    string
	sel      selectFlags
	args     []string
	given    []string // names of the flags that were given
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
	o := pullOptions{verb: "pull", place: "DEST"}
	c := &cobra.Command{
		Use:   "pull SELECTOR[:PATH]... [DEST]",
		Short: "Bring files home from one VM or many",
		Long: `Fetches files and folders, checks each by SHA-256 where the VM can, and renames
it into place only when it is whole. A second run fetches what is missing or
changed; an interrupted one goes on where it stopped.
An item lands inside DEST under its own name; with a trailing slash its
contents land in DEST itself. A VM without PATH means the configured pull.paths,
also beside the same VM with one. PATH may have the wildcards * ? and [...],
which the VM expands. DEST is a folder here: . for one VM with a PATH, else one
named after the VM; with several VMs each has its own in DEST. With - as DEST
one file goes to stdout.`,
		Example: `  vers-fleet pull marketing
  vers-fleet pull marketing:/root/workspace/images/ ./images
  vers-fleet pull 'marketing:/root/workspace/images/*.png' ./images
  vers-fleet pull marketing:/root/workspace/brief.md - | less
  vers-fleet pull --all ./rescue
  vers-fleet pull -l role=lieutenant :/root/workspace ./rescue`,
		RunE: orPick(env, o.sel.given, func(c *cobra.Command, args []string) error {
			o.args = args
			c.Flags().Visit(func(f *pflag.Flag) {
				if c.InheritedFlags().Lookup(f.Name) == nil {
					o.given = append(o.given, f.Name)
				}
			})
			return runPull(c.Context(), env, o)
		}),
	}
	c.ValidArgsFunction = completeVMPaths(env)
	o.register(env, c)
	return about(c, groupEveryday, "connects directly with the recorded keys",
		exitOK, exitNotFound, exitUnavailable, exitUnreachable, exitPartial, exitIdentity, exitStorage)
}

func (o *pullOptions) register(env *Env, c *cobra.Command) {
	f := c.Flags()
	o.sel.register(env, c)
	t := &o.transfer
	f.StringVar(&o.dest, "dest", "", "`FOLDER` to pull into, instead of the last argument")
	f.IntVarP(&o.jobs, "jobs", "j", remote.PullJobs, "work on `N` VMs side by side")
	f.BoolVarP(&t.DryRun, "dry-run", "n", false, "say what would be fetched, change nothing")
	f.BoolVar(&t.Checksum, "checksum", false, "compare content where size and time agree")
	f.BoolVar(&t.Delete, "delete", false, "remove from DEST what is not on the VM; needs a DEST")
	o.registerWhich(f)
	f.BoolVar(&t.Fsync, "fsync", false, "flush each file, not all at the end")
	f.StringVar(&o.maxTotal, "max-total", "", "fetch no more than `SIZE` from each VM")
	f.StringVar(&o.keepFree, "keep-free", "256M", "`SIZE` that stays free on the disk here")
	addWatchFlag(f, &o.watch, 30*time.Second, "keep the mirror fresh, looking again and again, until interrupted")
	f.BoolVar(&o.whenDone, "when-done", false, "pull each VM when its lieutenant's task is over")
	f.StringVar(&o.receipt, "receipt", "", "write a manifest with hashes to `FILE`")
	c.MarkFlagsMutuallyExclusive("watch", "when-done")
	c.MarkFlagsMutuallyExclusive("watch", "dry-run")
	c.MarkFlagsMutuallyExclusive("watch", "receipt")
	c.MarkFlagsMutuallyExclusive("dry-run", "receipt")
}

// registerWhich adds the flags that say which files are meant.
func (o *pullOptions) registerWhich(f *pflag.FlagSet) {
	t := &o.transfer
	f.StringArrayVar(&t.Include, "include", nil, "only files that match this gitignore `PATTERN`")
	f.StringArrayVar(&t.Exclude, "exclude", nil, "no files that match this gitignore `PATTERN`")
	f.BoolVar(&t.GitIgnore, "gitignore", false, "leave out what the .gitignore files on the VM name")
	f.BoolVar(&t.AllLinks, "all-links", false, "symlinks that lead out of "+o.place+" too")
	f.BoolVar(&t.Dotfiles, "dotfiles", false, "with "+o.place+" at your home folder, dotfiles too")
	f.StringVar(&o.maxSize, "max-size", "", "skip files larger than `SIZE` (such as 100M)")
	f.StringVar(&o.newer, "newer", "", "only files changed since `TIME` (RFC 3339, or a duration such as 2h)")
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
	items, dest, err := o.what(ctx, env, f)
	if err != nil {
		return err
	}
	if err := o.confine(env, dest); err != nil {
		return err
	}
	if dest == toStdout {
		env.foreign = true
		return pullToStdout(ctx, env, f, o, items)
	}
	o.transfer.KeepManifest = o.receipt != ""
	req := remote.PullRequest{Items: items, Dest: dest, Jobs: o.jobs, Options: o.transfer, PerVM: o.sel.given()}
	if o.watch > 0 {
		return watchPull(ctx, env, f, o, req)
	}
	results, pullErr := doPull(ctx, env, f, req, o.whenDone)
	if o.receipt != "" {
		if err := f.Remote.WriteReceipt(o.receipt, results); err != nil {
			return err
		}
	}
	if err := showTransfer(env, results, fetching(o.transfer.DryRun), env.Format().Lines()); err != nil {
		return err
	}
	return pullErr
}

// what is to be pulled, and where to.
func (o *pullOptions) what(ctx context.Context, env *Env, f *fleet.Fleet) ([]remote.PullItem, string, error) {
	sources, dest, err := o.split(f)
	if err != nil {
		return nil, "", err
	}
	if err := o.meantDest(ctx, env, sources, dest); err != nil {
		return nil, "", err
	}
	if err := meantInterval(o.watch, dest); err != nil {
		return nil, "", err
	}
	items, err := o.items(ctx, f, sources)
	return items, dest, err
}

// confine has the kernel hold the rest of this process to DEST, the profile, the
// sockets of shared connections and the receipt.
func (o *pullOptions) confine(env *Env, dest string) error {
	var may []string
	if dest != toStdout {
		may = append(may, cmp.Or(dest, "."))
	}
	if o.receipt != "" {
		may = append(may, o.receipt)
		if target, err := filepath.EvalSymlinks(o.receipt); err == nil {
			may = append(may, filepath.Dir(target))
		}
	}
	return env.confine(may...)
}

// confine has the kernel hold the rest of this process to these folders and files,
// the profile and the sockets of shared connections. A command that prints the API
// key may write what it wants, and setuid programs would not be what they are: with
// one nothing is confined.
func (e *Env) confine(may ...string) error {
	s, err := e.Settings()
	if err != nil {
		return err
	}
	home, err := s.Home()
	if err != nil {
		return err
	}
	if s.KeyByCommand() {
		e.Streams.Debugf("this process may write anywhere, as api_key_command may")
		return nil
	}
	own := []string{filepath.Join(home, s.Profile)}
	if run := e.Getenv("XDG_RUNTIME_DIR"); run != "" {
		own = append(own, filepath.Join(run, "vers-fleet"))
	}
	may = append(own, may...)
	e.Streams.Debugf("this process may write only below %s, where the kernel can hold it to that", strings.Join(may, ", "))
	if err := confine.Writes(may...); err != nil {
		e.Streams.Debugf("the kernel does not hold it to that: %v", err)
	}
	return nil
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
