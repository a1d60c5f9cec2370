package cmd

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/completions"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// offerOptions is what a completion script says of the command line.
type offerOptions struct {
	shell     string
	before    []string // words before the one to complete, without their quotes
	word      string   // the word to complete, up to the cursor
	bash      bashOptions
	namesOnly bool
}

// newOfferCommand is what the completion scripts call (see package
// completions): it prints "words", or "files" if names of files will do too, and
// a line for each word that is offered.
func newOfferCommand(env *Env) *cobra.Command {
	var o offerOptions
	c := &cobra.Command{
		Use:               "__offer SHELL [-- WORD...]",
		Hidden:            true,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			o.shell, o.before = args[0], args[1:]
			return runOffer(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.word, "word", "", "the word to complete, a `TEXT`, up to the cursor")
	f.StringVar(&o.bash.line, "line", "", "bash: the command line up to the cursor, a `TEXT`, as typed")
	f.StringVar(&o.bash.breaks, "breaks", "", "bash: the characters at which it begins a word, a `TEXT`")
	f.IntVar(&o.bash.kind, "type", 0, "bash: the `TYPE` of completion")
	f.IntVar(&o.bash.columns, "columns", 80, "bash: the `WIDTH` of the terminal")
	f.BoolVar(&o.namesOnly, "no-descriptions", false, "only the words")
	return c
}

// offered is a word that the shell may complete to.
type offered struct{ word, about string }

func runOffer(ctx context.Context, env *Env, o offerOptions) error {
	env.quotes = o.shell != "powershell"
	var lines []string
	var files bool
	switch o.shell {
	case "bash":
		lines, files = o.bash.offer(func(before []string, word string) ([]offered, bool) {
			return candidates(ctx, env, before, word)
		})
	default:
		var all []offered
		all, files = candidates(ctx, env, o.before, o.word)
		for _, c := range all {
			lines = append(lines, strings.TrimSuffix(c.word+"\t"+c.about, "\t"))
		}
	}
	head := "words"
	if files {
		head = "files"
	}
	for i, line := range lines {
		if o.namesOnly {
			lines[i], _, _ = strings.Cut(line, "\t")
		}
	}
	return writeText(env.Streams.Out, strings.Join(append([]string{head}, lines...), "\n")+"\n")
}

// candidates are the words that begin with word and may follow the words
// before, and whether names of files may too. Nothing of them is hidden.
func candidates(ctx context.Context, env *Env, before []string, word string) (out []offered, files bool) {
	var answer bytes.Buffer
	root := newRootCommand(env, slices.Concat([]string{cobra.ShellCompRequestCmd}, before, []string{word}))
	root.SetOut(&answer)
	root.SetErr(io.Discard)
	if err := root.ExecuteContext(ctx); err != nil {
		return nil, true
	}
	flag := "" // in --flag=value, cobra offers values
	if i := strings.Index(word, "="); i > 0 && word[0] == '-' {
		flag = word[:i+1]
	}
	seen := map[string]bool{}
	for line := range strings.Lines(answer.String()) {
		line = strings.TrimSuffix(line, "\n")
		if directive, ok := strings.CutPrefix(line, ":"); ok {
			return out, directive == itoa(int(cobra.ShellCompDirectiveDefault))
		}
		name, about, _ := strings.Cut(line, "\t")
		name = flag + name
		if strings.HasPrefix(name, word) && safe.Clean(name) == name && !seen[name] {
			seen[name], out = true, append(out, offered{name, safe.Clean(about)})
		}
	}
	return out, true
}

// offer is a word for cobra that came from the API, a VM or a file: none unless
// it is plain.
func offer(name, about string) []cobra.Completion {
	if !safe.Plain(name) {
		return nil
	}
	return []cobra.Completion{cobra.CompletionWithDesc(name, safe.Clean(about))}
}

// What cobra says of its script for bash, and what is true of ours.
const (
	cobraNeeds = "This script depends on the 'bash-completion' package.\n" +
		"If it is not installed already, you can install it via your OS's package manager.\n"
	oursNeeds = "The script needs nothing else. (What lies in a folder bash_completion.d is loaded\n" +
		"by the bash-completion package.)\n"
)

// printScripts makes the completion command print our scripts: cobra's evaluate
// what stands on the command line.
func printScripts(env *Env, root *cobra.Command) {
	c, _, err := root.Find([]string{"completion"})
	if err != nil {
		return
	}
	c.Long += `Names of VMs, aliases and profiles are offered if they consist of letters, digits
and - _ . @ + that look like nothing else; a VM that has no such name is offered
by its id. Paths on a VM are asked for over SSH with the recorded key, and quoted
for the shell. Neither what is typed nor what is offered is ever run.
`
	for _, shell := range c.Commands() {
		shell.Long = strings.Replace(shell.Long, cobraNeeds, oursNeeds, 1)
		shell.RunE = func(c *cobra.Command, _ []string) error {
			bare, err := c.Flags().GetBool("no-descriptions")
			if err != nil {
				return err
			}
			text, err := completions.Script(c.Name(), !bare)
			if err != nil {
				return err
			}
			return writeText(env.Streams.Out, text)
		}
	}
}
