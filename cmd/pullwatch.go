package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
)

// watchPull keeps a local mirror fresh until it is interrupted. It says
// something only when something happened.
func watchPull(ctx context.Context, env *Env, f *fleet.Fleet, o pullOptions, req fleet.PullRequest) error {
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
	env.Streams.Notef("watching; stop with Ctrl-C")
	return f.Watch(ctx, fleet.WatchRequest{
		Selection: sel, Pull: req, Interval: o.watch,
		Paths: func(vm fleet.VM) []string {
			if p, known := paths[vm.ID]; known {
				return p
			}
			return shared
		},
		OnRound: func(results []fleet.PullResult, err error) { sayRound(env, results, err) },
	})
}

// sayRound tells what a round of a watch brought, if anything.
func sayRound(env *Env, results []fleet.PullResult, err error) {
	now := time.Now().Format(time.TimeOnly)
	if len(results) == 0 && err != nil {
		env.Streams.Warnf("%s %s", now, err.Error())
		return
	}
	for _, r := range results {
		switch {
		case env.Format().Lines():
			if r.Files > 0 || r.Err != nil {
				_ = ui.PrintLine(env.Streams, pullDone{Event: "result", PullResult: r})
			}
		case r.Err != nil:
			env.Streams.Warnf("%s %s: %s", now, orID(r.VMName, r.VMID), r.Error)
		case r.Files > 0 || r.Failed > 0:
			_ = printLine(env, fmt.Sprintf("%s %s: %d files, %s into %s, %d failed", now, ui.Clean(orID(r.VMName, r.VMID)), r.Files,
				ui.Bytes(r.Bytes), ui.Clean(r.Dest), r.Failed))
		}
	}
}

// awaitIdle waits until every lieutenant of a pull has finished its answer.
func awaitIdle(ctx context.Context, env *Env, f *fleet.Fleet, items []fleet.PullItem) error {
	w := env.Streams.NewWaiter()
	defer w.Stop()
	for _, item := range items {
		err := f.AwaitIdle(ctx, item.VM, func(a fleet.Activity) {
			w.Update(fmt.Sprintf("%s is %s since %s", item.VM.Title(), a.Phase, ui.Ago(a.Since, time.Now())))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
