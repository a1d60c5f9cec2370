package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// placeholder stands for what a message fills in.
const placeholder = "VALUE"

// prose are the words that follow the program's name where no command is meant.
func prose() []string {
	return []string{"and", "below", "bundle", "ended", "index", "is", "itself", "manual", "reaches", "record", "runs", "simulator", "was", "with"}
}

// Every call of vers-fleet that a message, a help text or a page of the
// documentation advises is one that the command tree has: commands and flags.
func TestAdviceParses(t *testing.T) {
	t.Parallel()
	found := 0
	for _, text := range append(messages(t), pages(t)...) {
		for _, words := range advice(text.text) {
			found++
			if problem := checkAdvice(words); problem != "" {
				t.Errorf("%s: vers-fleet %s: %s", text.at, strings.Join(words, " "), problem)
			}
		}
	}
	if found < 200 {
		t.Errorf("only %d calls were found", found)
	}
}

type source struct{ at, text string }

// messages returns the strings of the program, as far as they are constant.
func messages(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "internal" || strings.HasPrefix(d.Name(), ".") && path != ".."):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := constant(e)
			if ok {
				out = append(out, source{fset.Position(n.Pos()).String(), text})
			}
			return !ok
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// constant returns a string literal, or literals and values joined by +.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		verbs := regexp.MustCompile(`%[-+#0-9.*\[\]]*[a-zA-Z]`)
		return verbs.ReplaceAllString(text, placeholder), e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, okLeft := constant(e.X)
		right, okRight := constant(e.Y)
		if !okLeft {
			left = placeholder
		}
		if !okRight {
			right = placeholder
		}
		return left + right, okLeft || okRight
	}
	return "", false
}

// pages returns what people read beside the program. The manual and the
// reference are made of the program's strings.
func pages(t *testing.T) []source {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)(`|^[$] |^    |^|[$(|&;] ?)vers-fleet [^`\n]*")
	var out []source
	for _, file := range append(files, "../README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range commands.FindAllString(string(data), -1) {
			out = append(out, source{file, command})
		}
	}
	return out
}

// advice finds the calls of vers-fleet in a text: the words up to the end of
// the line or of the clause.
func advice(text string) (calls [][]string) {
	for line := range strings.Lines(text) {
		for _, after := range strings.Split(line, "vers-fleet ")[1:] {
			var words []string
			for word := range strings.FieldsSeq(after) {
				bare, _, _ := strings.Cut(word, "{")
				bare = strings.TrimRight(bare, "`'\"),;:.|")
				if bare == "" || strings.ContainsAny(bare[:1], "#(&>\"$-") && !isFlag(bare) {
					break
				}
				words = append(words, bare)
				if bare != word {
					break
				}
			}
			if len(words) > 0 && !slices.Contains(prose(), words[0]) {
				calls = append(calls, words)
			}
		}
	}
	return calls
}

// checkAdvice says what is wrong with a call, whose last words may be prose.
func checkAdvice(words []string) string {
	c := Tree()
	for len(words) > 0 && c.HasSubCommands() && !strings.HasPrefix(words[0], "-") {
		i := slices.IndexFunc(c.Commands(), func(sub *cobra.Command) bool { return sub.Name() == words[0] || sub.HasAlias(words[0]) })
		switch {
		case words[0] == strings.ToUpper(words[0]): // TOPIC, or a placeholder
			return ""
		case i >= 0:
			c, words = c.Commands()[i], words[1:]
			if c.Name() == "help" {
				c = c.Root()
			}
		default:
			return "no such command: " + words[0]
		}
	}
	for _, word := range words {
		if word == "--" || c.DisableFlagParsing {
			return ""
		}
		if problem := checkFlag(c, word); problem != "" {
			return problem
		}
	}
	return ""
}

func isFlag(word string) bool { return regexp.MustCompile(`^--?[a-zA-Z]`).MatchString(word) }

func checkFlag(c *cobra.Command, word string) string {
	if !isFlag(word) {
		return ""
	}
	name := word[1:]
	find := func(set *pflag.FlagSet) bool { return set.ShorthandLookup(name[:1]) != nil }
	if long, ok := strings.CutPrefix(name, "-"); ok {
		long, _, _ = strings.Cut(long, "=")
		find = func(set *pflag.FlagSet) bool { return set.Lookup(strings.TrimSuffix(long, "[")) != nil }
	}
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	if find(c.Flags()) || find(c.InheritedFlags()) || find(c.PersistentFlags()) {
		return ""
	}
	return c.CommandPath() + " has no flag " + word
}

// The check itself must be able to fail.
func TestAdviceIsChecked(t *testing.T) {
	for text, ok := range map[string]bool{
		"see: vers-fleet keys list":                               true,
		"run vers-fleet keys fetch to get it":                     false,
		"with vers-fleet pull VALUE --all ./x, or by hand":        true,
		"with `vers-fleet pull --everything`":                     false,
		"vers-fleet vms -o json":                                  true,
		"vers-fleet vms -Z":                                       false,
		"vers-fleet fleet":                                        false,
		"vers-fleet help outage; vers-fleet help exit-codes":      true,
		"vers-fleet help nothing":                                 false,
		"vers-fleet ssh VALUE -- ls --color":                      true,
		"vers-fleet keys list --retry-after":                      false,
		"vers-fleet --help":                                       true,
		"vers-fleet --bogus":                                      false,
		"first vers-fleet vms, then vers-fleet alias put a VALUE": false,
	} {
		problem := ""
		for _, words := range advice(text) {
			problem += checkAdvice(words)
		}
		if (problem == "") != ok {
			t.Errorf("%s: %q", text, problem)
		}
	}
}
