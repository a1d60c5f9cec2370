package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// No command takes an empty name, path, selector or pattern: with "" a pull
// would mean the current folder, and a filter everything.
func TestEmptyIsRefused(t *testing.T) {
	refused := func(what string, args ...string) {
		s, out := ui.Fake(false, 0)
		code := Run(t.Context(), NewEnv(s, func(string) string { return "" }, args))
		if code != exitUsage || !strings.Contains(out.Err.String(), what) {
			t.Errorf("%q: exit code %d, stderr %q", args, code, out.Err)
		}
	}
	flags := 0
	walk(Tree(), func(c *cobra.Command) {
		if !c.Runnable() {
			return
		}
		args := strings.Fields(c.CommandPath())[1:]
		c.InheritedFlags() // joins them to Flags
		c.Flags().VisitAll(func(f *pflag.Flag) {
			what, _ := pflag.UnquoteUsage(f)
			if kind := f.Value.Type(); kind != "string" && kind != "stringArray" && kind != "stringSlice" || what == "TEXT" || c.DisableFlagParsing {
				return
			}
			flags++
			refused("--"+f.Name+" is empty", append(slices.Clone(args), enough(c, "--"+f.Name+"=")...)...)
		})
		if _, wants, ok := strings.Cut(c.Use, " "); ok && !c.HasSubCommands() && wants != "[flags]" {
			refused("an argument is empty", append(slices.Clone(args), enough(c, "")...)...)
		}
	})
	if flags < 100 {
		t.Errorf("only %d flags were tried", flags)
	}
}

// enough adds the arguments without which a command does not start.
func enough(c *cobra.Command, args ...string) []string {
	for len(args) < 4 && c.Args != nil && c.Args(c, slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-") })) != nil {
		args = append(args, "x")
	}
	return args
}

// What is text, not a name, may be empty.
func TestEmptyTextIsTaken(t *testing.T) {
	for _, args := range [][]string{
		{"exec", "vm", "--", "printf", ""}, {"ssh", "vm", "--", "printf", ""}, {"config", "set", "no.such.key", ""},
		{"commit", "vm", "--description", ""},
	} {
		s, out := ui.Fake(false, 0)
		home := t.TempDir()
		t.Setenv("HOME", home)
		t.Setenv("XDG_CONFIG_HOME", home)
		Run(t.Context(), NewEnv(s, func(string) string { return "" }, append(args, "--offline")))
		if strings.Contains(out.Err.String(), "empty") {
			t.Errorf("%q: %s", args, out.Err)
		}
	}
}
