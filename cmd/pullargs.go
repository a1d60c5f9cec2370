package cmd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

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
			return nil, "", usageError("cannot tell what to "+o.verb+": "+safe.Clean(a), "with --all or -l, sources are written :PATH; without, SELECTOR[:PATH]",
				"for example: vers-fleet "+o.verb+" --all :/root/workspace ./rescue")
		}
		sources = append(sources, pullSource{name, path})
	}
	if len(sources) == 0 && !o.sel.given() {
		return nil, "", usageError("no VM was chosen", "", "usage: vers-fleet "+o.verb+" SELECTOR[:PATH]... ["+o.place+"]; see the names with: vers-fleet vms")
	}
	return sources, dest, nil
}

func looksLikeDest(f *fleet.Fleet, arg string) (bool, error) {
	if arg == toStdout || strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "~") {
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
		return false, usageError(safe.Clean(arg)+" is a VM and a folder here", "", "write ./"+safe.Clean(arg)+" for the folder, or "+safe.Clean(arg)+": for the VM")
	}
	return !isVM, nil
}

// meantDest asks, or refuses, when DEST was more likely meant as a path on the
// VM: pull VM /root/workspace/images.
func (o pullOptions) meantDest(ctx context.Context, env *Env, sources []pullSource, dest string) error {
	s, err := env.Settings()
	if err != nil || dest == "" || o.dest != "" || !looksRemote(dest, s.PullPaths) ||
		slices.ContainsFunc(sources, func(s pullSource) bool { return s.path != "" }) {
		return err
	}
	source := "--all " + safe.Word(":"+dest)
	if !o.sel.given() {
		source = safe.Word(sources[0].name + ":" + dest)
	}
	next := "for what is on the VM: vers-fleet pull " + source + "; to pull into this machine's: --dest " + safe.Word(dest)
	yes, err := env.Streams.Confirm(ctx, safe.Clean(dest)+" is no folder here, and may be meant as one on the VM. Make it on this machine, and pull into it?")
	switch {
	case errors.Is(err, ui.ErrNotTerminal):
		return usageError(safe.Clean(dest)+" is no folder here", "it may be meant as one on the VM", next)
	case err == nil && !yes:
		return &problem.Error{Kind: problem.Interrupted, What: "not done", Why: "the answer was no", Next: next, Origin: problem.OriginLocal}
	}
	return err
}

// looksRemote tells whether an absolute path is no folder here and is more
// likely one on a VM: it begins as what is pulled from there does, or with a
// folder that this machine does not have.
func looksRemote(path string, pullPaths []string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	fi, err := os.Stat(path)
	switch {
	case err == nil:
		return !fi.IsDir()
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return true // this user could not write there anyway
	}
	for _, p := range pullPaths {
		if p = strings.TrimRight(p, "/"); path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	top, _, _ := strings.Cut(path[1:], "/")
	_, err = os.Stat("/" + top)
	return err != nil && strings.Contains(path[1:], "/")
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
				item.Add(s.path)
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
		items[i].Add(s.path)
	}
	return items, nil
}
