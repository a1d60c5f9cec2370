package cmd

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// orPick lets a person at a terminal choose a VM when the command line names
// none; chosen says whether flags chose some already. Elsewhere the command
// goes on without arguments and explains its usage itself.
func orPick(env *Env, chosen func() bool, run func(c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 0 || chosen() || !env.Streams.CanAsk() {
			return run(c, args)
		}
		name, err := pickVM(c, env)
		if errors.Is(err, ui.ErrNotTerminal) {
			return run(c, args)
		}
		if err != nil {
			return err
		}
		return run(c, []string{name})
	}
}

func pickVM(c *cobra.Command, env *Env) (string, error) {
	f, err := env.Fleet(c.Context())
	if err != nil {
		return "", err
	}
	names, err := f.Inventory.CompletionNames()
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", &problem.Error{Kind: problem.NotFound, What: "there is no VM to choose", Why: "none is recorded yet", Origin: problem.OriginLocal,
			Next: "vers-fleet vms"}
	}
	longest := 0
	for _, n := range names {
		longest = max(longest, ui.Width(safe.Clean(n.Name)))
	}
	lines := make([]string, len(names))
	for i, n := range names {
		name := safe.Clean(n.Name)
		lines[i] = name + strings.Repeat(" ", longest-ui.Width(name)+2) + describeVM(n)
	}
	i, err := env.Streams.Pick("Which VM?", lines)
	if errors.Is(err, ui.ErrDeclined) {
		return "", &problem.Error{Kind: problem.Interrupted, What: "nothing was chosen", Origin: problem.OriginLocal}
	}
	if err != nil {
		return "", err
	}
	return names[i].Name, nil
}
