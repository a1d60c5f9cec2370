package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

func treeFor(args ...string) *cobra.Command {
	streams, _ := ui.Fake(false, 0)
	return newRootCommand(NewEnv(streams, func(string) string { return "" }, nil), args)
}

// The name by which a command is found is the one it has.
func TestSubcommandsHaveTheirNames(t *testing.T) {
	streams, _ := ui.Fake(false, 0)
	env := NewEnv(streams, func(string) string { return "" }, nil)
	for _, s := range subcommands() {
		if name := s.build(env).Name(); name != s.name {
			t.Errorf("%q builds the command %q", s.name, name)
		}
	}
}

// Wherever flags stand, the tree of one command finds what the whole tree finds.
func TestOneCommandIsFoundAsInTheWholeTree(t *testing.T) {
	var paths [][]string
	whole := Tree()
	walk(whole, func(c *cobra.Command) {
		if c.HasParent() {
			paths = append(paths, strings.Fields(c.CommandPath())[1:])
		}
	})
	before := [][]string{nil, {"-q"}, {"-o", "json"}, {"-ojson"}, {"--output=json"}, {"--profile", "sim", "--offline"}, {"--wait"}, {"--profile", "vms"}, {"--no-such-flag", "x"}}
	after := [][]string{nil, {"vms"}, {"--all"}, {"-o", "wide", "x"}, {"--", "ssh", "-o", "x"}, {"--help"}}
	for _, path := range paths {
		for _, b := range before {
			for _, a := range after {
				args := slices.Concat(b, path, a)
				one, rest, err := treeFor(args...).Find(args)
				want, wantRest, wantErr := whole.Find(args)
				if one.CommandPath() != want.CommandPath() || !slices.Equal(rest, wantRest) || (err == nil) != (wantErr == nil) {
					t.Errorf("%q: found %q %q %v, in the whole tree %q %q %v", args, one.CommandPath(), rest, err, want.CommandPath(), wantRest, wantErr)
				}
			}
		}
	}
}

// A call builds no other command than its own; what tells of commands has all.
func TestOnlyTheCalledCommandIsBuilt(t *testing.T) {
	const completes = cobra.ShellCompRequestCmd
	for _, line := range []string{"vms", "-o json vms x", "keys list", "pull --help", "--profile sim sim", "__offer bash", completes + " vms x", completes + " -o json ssh --pro"} {
		if n := len(treeFor(strings.Fields(line)...).Commands()); n != 1 {
			t.Errorf("%q builds %d commands", line, n)
		}
	}
	whole := len(Tree().Commands())
	for _, line := range []string{"", "--help", "help vms", "completion bash", "--version", "ls", "vmss", "-- vms", completes, completes + " vm", completes + " help vm", completes + " -o json vms"} {
		if n := len(treeFor(strings.Fields(line)...).Commands()); n != whole {
			t.Errorf("%q builds %d commands of %d", line, n, whole)
		}
	}
}
