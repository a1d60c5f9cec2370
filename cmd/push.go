package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

type pushOptions struct {
	sources  []string
	dest     string
	maxSize  string
	transfer remote.PushOptions
}

func newPushCommand(env *Env) *cobra.Command {
	var o pushOptions
	c := &cobra.Command{
		Use:   "push SRC... VM:PATH",
		Short: "Send files to one VM",
		Long: `Sends files and folders to a folder on the VM, under temporary names, checks
them there by SHA-256 where the VM can, and renames them into place. A source
with a trailing slash sends its contents. What is there already is not sent
again. A source that is a symlink is followed, as scp does; symlinks below a
source are sent as symlinks. With one file as the only source, PATH may name the
file itself, unless a folder of that name is there or PATH ends with a slash;
otherwise PATH is the folder that everything lands in.
With --delete a folder on the VM is to hold what its source holds, and no more:
a source with a trailing slash empties PATH of all else, one without its own
folder in PATH. What the filters leave out stays, nothing is removed unless
everything was sent, and never from the login folder, through a symlink, or for
a source that is empty. --dry-run names what would go.`,
		Example: `  vers-fleet push brief.md marketing:/root/workspace/
  vers-fleet push ./assets/ marketing:/root/workspace/assets
  vers-fleet push --delete --dry-run ./site/ marketing:/root/workspace/site`,
		Args: argCount(2, -1),
		RunE: func(c *cobra.Command, args []string) error {
			o.sources, o.dest = args[:len(args)-1], args[len(args)-1]
			return runPush(c.Context(), env, o)
		},
	}
	c.ValidArgsFunction = func(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 { // a source, which is here
			return nil, cobra.ShellCompDirectiveDefault
		}
		return completeVMPaths(env)(c, args, word)
	}
	f := c.Flags()
	f.BoolVarP(&o.transfer.DryRun, "dry-run", "n", false, "say what would be sent, change nothing")
	f.BoolVar(&o.transfer.Checksum, "checksum", false, "compare content where size and time agree")
	f.BoolVar(&o.transfer.Delete, "delete", false, "remove from the folders that are sent what is on the VM and not here")
	f.StringArrayVar(&o.transfer.Include, "include", nil, "only files that match this gitignore `PATTERN`")
	f.StringArrayVar(&o.transfer.Exclude, "exclude", nil, "no files that match this gitignore `PATTERN`")
	f.StringVar(&o.maxSize, "max-size", "", "skip files larger than `SIZE` (such as 100M)")
	return about(c, groupEveryday, "connects directly with the recorded key",
		exitOK, exitNotFound, exitUnavailable, exitUnreachable, exitPartial, exitIdentity, exitStorage)
}

func runPush(ctx context.Context, env *Env, o pushOptions) (err error) {
	name, path, ok := strings.Cut(o.dest, ":")
	if !ok || name == "" || path == "" {
		return usageError("the last argument must be VM:PATH, got "+safe.Clean(o.dest), "", "for example: vers-fleet push brief.md marketing:/root/workspace/")
	}
	if o.transfer.MaxSize, err = parseSize(o.maxSize); err != nil {
		return usageError("--max-size is not a size", err.Error(), "write it like 500K, 100M or 2G")
	}
	ctx, stop := env.WithTimeout(ctx)
	defer stop()
	f, err := env.Fleet(ctx)
	if err != nil {
		return err
	}
	vm, err := f.Inventory.One(ctx, name)
	if err != nil {
		return err
	}
	progress := env.Streams.NewProgress()
	o.transfer.Sources, o.transfer.Dest = o.sources, path
	o.transfer.Events = func(e remote.TransferEvent) {
		progress.Update(ui.Update{Key: vm.Title(), Done: e.Bytes, Total: e.TotalBytes, Text: e.Path})
	}
	result, pushErr := f.Remote.Push(ctx, vm, o.transfer)
	progress.Stop()
	if err := showTransfer(env, []remote.PullResult{result}, sending(o.transfer.DryRun), false); err != nil {
		return err
	}
	return pushErr
}
