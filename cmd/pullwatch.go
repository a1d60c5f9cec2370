package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// watchPull keeps a local mirror fresh until it is interrupted. It says
// something only when something happened.
func watchPull(ctx context.Context, env *Env, f *fleet.Fleet, o pullOptions, req remote.PullRequest) error {
	if !env.Format().Table() && !env.Format().Lines() {
		return usageError("a watch has no end, and this output format needs one", "", "use -o jsonl for scripts")
	}
	sel, err := o.sel.optional(nil)
	if err != nil {
		return err
	}
	paths := map[string][]string{}
	for _, item := range req.Items {
		paths[item.VM.ID] = item.Paths
		if !o.sel.given() {
			sel.Names = append(sel.Names, item.VM.ID)
		}
	}
	shared := []string(nil) // with --all or -l the paths are the same for VMs that come later
	if o.sel.given() && len(req.Items) > 0 {
		shared = req.Items[0].Paths
	}
	req.PerVM = req.PerVM || len(req.Items) > 1
	t := &watchTeller{env: env, now: time.Now, troubles: map[string]*trouble{}, folders: map[string]remote.PullResult{}}
	req.OnEvent = t.event
	defer t.stopProgress()
	env.Streams.Notef("watching; stop with Ctrl-C")
	return f.Remote.Watch(ctx, remote.WatchRequest{
		Selection: sel, Pull: req, Interval: o.watch, OnRound: t.round,
		Paths: func(vm inventory.VM) []string {
			if p, known := paths[vm.ID]; known {
				return p
			}
			return shared
		},
	})
}

// awaitIdle waits until every lieutenant of a pull has finished its answer. Of
// several VMs, one that cannot be asked does not hold up the others.
func awaitIdle(ctx context.Context, env *Env, f *fleet.Fleet, items []remote.PullItem) error {
	w := env.Streams.NewWaiter()
	defer w.Stop()
	for _, item := range items {
		err := f.Output.AwaitIdle(ctx, item.VM, func(a remote.Activity) {
			w.Start(fmt.Sprintf("%s is %s since %s", item.VM.Title(), a.Phase, ui.Ago(a.Since, time.Now())))
		})
		switch {
		case err != nil && (len(items) == 1 || ctx.Err() != nil):
			return err
		case err != nil:
			env.Streams.Warnf("%s: not waited for: %v", item.VM.Title(), err)
		}
	}
	return nil
}
