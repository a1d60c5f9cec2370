package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
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
	pathsOf := func(vm inventory.VM) []string {
		if p, known := paths[vm.ID]; known {
			return p
		}
		return shared
	}
	req.PerVM = req.PerVM || len(req.Items) > 1
	t := &watchTeller{env: env, now: time.Now, troubles: map[string]time.Time{}, folders: map[string]string{}, names: map[string]string{}, busy: map[string]bool{}}
	req.OnEvent = t.event
	defer t.stopProgress()
	env.Streams.Notef("watching; stop with Ctrl-C")
	return f.Remote.Watch(ctx, remote.WatchRequest{
		Selection: sel, Pull: req, Interval: o.watch, OnList: t.listed, OnLate: t.late, Paths: pathsOf,
		OnResult: func(r remote.PullResult) {
			t.result(r)
			whole := req
			whole.Items = []remote.PullItem{{VM: inventory.VM{ID: r.VMID, Name: r.VMName}, Paths: pathsOf(inventory.VM{ID: r.VMID})}}
			f.NoteHome(ctx, whole, []remote.PullResult{r})
		},
	})
}

// awaitTask waits until the task of the VM's lieutenant is over, and tells why
// it goes on. Of several VMs, one that cannot be asked is not waited for.
func awaitTask(ctx context.Context, env *Env, f *fleet.Fleet, vm inventory.VM, several bool, show func(text string)) (remote.Activity, error) {
	said := ""
	a, err := f.Output.AwaitDone(ctx, vm, func(a remote.Activity) {
		if why := goesOn(vm, a); why != said {
			if said = why; why != "" {
				env.Streams.Notef("%s", why)
			}
		}
		text := string(a.Phase)
		if !a.Since.IsZero() {
			text += " since " + ui.Ago(a.Since, time.Now())
		}
		show(text)
		env.Streams.Debugf("%s is %s", vm.Title(), text)
	})
	if err != nil && several && ctx.Err() == nil {
		env.Streams.Warnf("%s: not waited for: %v", vm.Title(), err)
		return remote.Activity{}, nil
	}
	return a, err
}

// goesOn says why a task is still waited for; "" if the lieutenant just works.
func goesOn(vm inventory.VM, a remote.Activity) string {
	switch a.Phase {
	case remote.PhaseWaiting:
		return fmt.Sprintf("%s waits for an answer: %s; give it: vers-fleet send %s --answer %s TEXT", vm.Title(), a.Text, vm.Arg(), safe.Word(a.Question.ID))
	case remote.PhaseRetrying:
		return fmt.Sprintf("%s has failed and tries again: %s", vm.Title(), a.Text)
	case remote.PhaseSilent:
		return vm.Title() + " should be working, and says nothing"
	case remote.PhaseUnknown:
		return fmt.Sprintf("%s cannot be asked now, and is asked again: %s", vm.Title(), a.Text)
	}
	return ""
}
