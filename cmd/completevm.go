package cmd

import (
	"context"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// completeVMs completes names of VMs from the cache alone, with state and
// role as description: Tab never asks the API, so it never freezes in an
// outage. most limits how many names are taken; 0 is no limit.
func completeVMs(env *Env, most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return vmCompletions(env, word), cobra.ShellCompDirectiveNoFileComp
	}
}

// remotePathTime is how long a press of Tab may take to ask a VM for paths.
const remotePathTime = 500 * time.Millisecond

// completeVMPaths is completeVMs for VM:PATH arguments, which may also be
// paths here. Paths on the VM are asked for over SSH with what is recorded; those
// that are not plain are for shells that quote them.
func completeVMPaths(env *Env) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if name, path, ok := strings.Cut(word, ":"); ok && !strings.ContainsAny(name, "/.") {
			return remotePaths(env, name, path), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		}
		if strings.ContainsAny(word, "/.") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return vmCompletions(env, word), cobra.ShellCompDirectiveDefault
	}
}

func remotePaths(env *Env, name, path string) []cobra.Completion {
	f, err := recordedFleet(env)
	if err != nil {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), remotePathTime)
	defer stop()
	paths, err := f.Remote.Paths(ctx, name, path)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, p := range paths {
		if word := name + ":" + p; env.quotes || safe.Plain(word) {
			out = append(out, word)
		}
	}
	return out
}

// vmCompletions are the plain names that begin with word, and the ids of VMs that
// have none: who called a VM may have called it anything.
func vmCompletions(env *Env, word string) []cobra.Completion {
	f, err := recordedFleet(env)
	if err != nil {
		return nil
	}
	names, err := f.Inventory.CompletionNames()
	if err != nil {
		return nil
	}
	called := map[string]bool{} // the VMs that a plain name means
	for _, n := range names {
		called[n.ID] = called[n.ID] || safe.Plain(n.Name)
	}
	var out []cobra.Completion
	for _, n := range names {
		if !called[n.ID] {
			n.Name = n.ID
		}
		if strings.HasPrefix(n.Name, word) {
			out = append(out, offer(n.Name, describeVM(n))...)
		}
	}
	return out
}

// completeLabels completes -l to the labels of recorded VMs, as far as they are
// plain.
func completeLabels(env *Env) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		f, err := recordedFleet(env)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		vms, _ := f.Inventory.Known()
		pairs := map[string]bool{}
		for _, vm := range vms {
			for k, v := range vm.Labels {
				pairs[k+"="+v] = true
			}
			if vm.Role != "" {
				pairs["role="+vm.Role] = true
			}
		}
		var out []cobra.Completion
		for _, pair := range slices.Sorted(maps.Keys(pairs)) {
			if k, v, _ := strings.Cut(pair, "="); strings.HasPrefix(pair, word) && safe.Plain(k) && safe.Plain(v) {
				out = append(out, pair)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// recordedFleet is the fleet for a press of Tab: it never asks the API, nor a
// person for a passphrase. With thousands of VMs collecting garbage took a
// quarter of the time, so that waits until there is much of it.
func recordedFleet(env *Env) (*fleet.Fleet, error) {
	debug.SetGCPercent(800) // the first time at 32 MB
	env.flags.offline, env.flags.live, env.flags.wait = true, false, waitFlag{}
	env.Streams.Configure(ui.Rules{NoAsking: true, NoProgress: true, Quiet: true})
	return env.Fleet(context.Background())
}

func describeVM(n inventory.CompletionName) string {
	return strings.TrimSpace(n.State + " " + n.Role)
}
