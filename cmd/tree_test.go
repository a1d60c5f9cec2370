package cmd

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// walk visits every command that a person may call.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" && sub.Name() != "help" {
			walk(sub, visit)
		}
	}
}

// Every command says what it is for, how it is used, what it does when the API
// is down, and its exit codes.
func TestHelpIsComplete(t *testing.T) {
	root := Tree()
	walk(root, func(c *cobra.Command) {
		if c == root {
			return
		}
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.Example == "" {
			t.Errorf("%s: needs a short purpose without a full stop, and an example", path)
		}
		if !strings.Contains(c.Long, "When the API is down: ") || !strings.Contains(c.Long, "Exit codes: ") {
			t.Errorf("%s: does not say what happens when the API is down, or its exit codes (see about in root.go)", path)
		}
		if c.Parent() == root && c.GroupID == "" {
			t.Errorf("%s: has no group", path)
		}
	})
}

// Help fits a terminal of the usual width.
func TestHelpFits(t *testing.T) {
	fits := func(c *cobra.Command) {
		for line := range strings.Lines(c.Long) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > helpWidth {
				t.Errorf("%s: a line of the help has %d columns: %s", c.CommandPath(), n, line)
			}
		}
	}
	walk(Tree(), fits)
	for _, topic := range helpTopics() {
		fits(topic)
	}
}

// What the examples, the help topics and the README show parses: commands and flags exist
// and take these arguments.
func TestExamplesParse(t *testing.T) {
	var texts []string
	walk(Tree(), func(c *cobra.Command) { texts = append(texts, c.Example) })
	for _, topic := range helpTopics() {
		texts = append(texts, topic.Long)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	texts = append(texts, strings.ReplaceAll(string(readme), "\n$ ", "\n  "))
	found := 0
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "  ") || !strings.Contains(line, "vers-fleet ") {
				continue
			}
			for _, args := range calls(t, line) {
				found++
				checkCall(t, args)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d examples were found", found)
	}
}

// calls returns the arguments of every call of vers-fleet in a shell line; an
// explanation may follow after three spaces.
func calls(t *testing.T, line string) [][]string {
	t.Helper()
	line, _, _ = strings.Cut(strings.TrimSpace(line), "   ")
	file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
	if err != nil {
		t.Errorf("%s: %v", line, err)
		return nil
	}
	var out [][]string
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "vers-fleet" {
			return true
		}
		cfg := &expand.Config{
			Env: expand.ListEnviron("EDITOR=vi", "HOME=/home/me", "vm=marketing"),
			CmdSubst: func(w io.Writer, _ *syntax.CmdSubst) error {
				_, err := io.WriteString(w, "substituted")
				return err
			},
		}
		fields, err := expand.Fields(cfg, call.Args[1:]...)
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		out = append(out, fields)
		return true
	})
	return out
}

func checkCall(t *testing.T, args []string) {
	t.Helper()
	root := Tree() // flags keep what they are given
	c, rest, err := root.Find(args)
	switch {
	case err != nil:
		t.Errorf("%q: %v", args, err)
		return
	case slices.Contains([]string{"help", "completion"}, c.Name()) || c.Parent() == root && c.HasSubCommands() && len(rest) == 0:
		return
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Errorf("%q: %v", args, err)
		return
	}
	if c.HasSubCommands() && c.Flags().NArg() > 0 && c.Flags().ArgsLenAtDash() != 0 {
		t.Errorf("%q: %s has no such subcommand", args, c.CommandPath())
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Errorf("%q: %v", args, err)
	}
}
