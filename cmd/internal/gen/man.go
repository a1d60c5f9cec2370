package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/cmd"
)

// manPages writes docs/man: a page of section 1 for every command, and one of
// section 7 for every help topic. They bear no date: it would make every build
// differ.
func manPages(root *cobra.Command, dir string) error {
	for _, suffix := range []string{".1", ".7"} {
		if err := emptyFolder(dir, suffix); err != nil {
			return err
		}
	}
	for _, topic := range root.Commands() {
		if topic.IsAdditionalHelpTopicCommand() {
			if err := os.WriteFile(filepath.Join(dir, fileName(topic, "-")+".7"), topicPage(root, topic), 0o644); err != nil {
				return err
			}
		}
	}
	return each(root, func(c *cobra.Command) error {
		return os.WriteFile(filepath.Join(dir, fileName(c, "-")+".1"), commandPage(root, c), 0o644)
	})
}

// page is a manual page being written, in the macros of man(7).
type page struct{ bytes.Buffer }

func newPage(c *cobra.Command, section string) *page {
	p := &page{}
	name := fileName(c, "-")
	p.line(`.TH "%s" "%s" "" "vers-fleet" "vers-fleet manual"`, strings.ToUpper(name), section)
	p.line(".nr HY 0\n.nh\n.ad l") // no word is broken: commands are copied as they stand
	p.section("NAME")
	p.line(`%s \- %s`, escape(name), escape(c.Short))
	return p
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", title) }

// term begins an entry of a list; what follows is its explanation.
func (p *page) term(markup string) { p.line(".TP\n%s", markup) }

func commandPage(root, c *cobra.Command) []byte {
	p := newPage(c, "1")
	p.section("SYNOPSIS")
	if !c.HasAvailableSubCommands() || c.Use != c.Name() {
		p.line(".B %s", escape(c.UseLine()))
	}
	if c.HasAvailableSubCommands() {
		p.line(".br\n.B %s COMMAND [flags]", escape(c.CommandPath()))
	}
	p.section("DESCRIPTION")
	long, _, _ := strings.Cut(c.Long, "\nExit codes: ") // they have a section of their own
	p.text(long)
	p.commands(c)
	c.InitDefaultHelpFlag()
	p.flags("OPTIONS", c.NonInheritedFlags())
	p.flags("OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	if exits := cmd.Exits(c); len(exits) > 0 {
		p.section("EXIT STATUS")
		for _, e := range exits {
			p.term(fmt.Sprintf(".B %d", e.Code))
			p.line("%s", escape(e.Meaning))
		}
	}
	if c.Example != "" {
		p.section("EXAMPLES")
		p.literal(strings.Split(c.Example, "\n"))
	}
	p.seeAlso(root, c)
	return p.tidy()
}

func topicPage(root, c *cobra.Command) []byte {
	p := newPage(c, "7")
	p.section("DESCRIPTION")
	p.text(c.Long)
	p.seeAlso(root, c)
	return p.tidy()
}

// tidy takes out the breaks that a list or a section makes by itself.
func (p *page) tidy() []byte {
	return regexp.MustCompile(`(?m)^\.PP\n(\.TP)$|^(\.SH SYNOPSIS)\n\.br$`).ReplaceAll(p.Bytes(), []byte("$1$2"))
}

// commands lists the subcommands, in the groups of the help.
func (p *page) commands(c *cobra.Command) {
	list := func(group string) {
		for _, sub := range c.Commands() {
			if sub.GroupID == group && sub.IsAvailableCommand() && sub.Name() != "help" {
				p.term(`.BR ` + escape(fileName(sub, "-")) + ` (1)`)
				p.line("%s", escape(sub.Short))
			}
		}
	}
	if !c.HasAvailableSubCommands() {
		return
	}
	p.section("COMMANDS")
	list("")
	for _, g := range c.Groups() {
		p.line(".SS %s", escape(strings.TrimSuffix(g.Title, ":")))
		list(g.ID)
	}
}

func (p *page) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.section(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		head := `\fB\-\-` + escape(f.Name) + `\fR`
		if f.Shorthand != "" {
			head = `\fB\-` + f.Shorthand + `\fR, ` + head
		}
		switch f.NoOptDefVal {
		case "true", "+1": // a switch, or one that counts
		case "":
			head += ` \fI` + escape(value) + `\fR`
		default: // such flags name their value there, see watchFlag
			head += `[=\fI` + escape(f.NoOptDefVal) + `\fR]`
		}
		p.term(head)
		switch f.DefValue {
		case "", "false", "0", "0s", "[]":
		default:
			usage += " (default " + f.DefValue + ")"
		}
		p.line("%s", escape(usage))
	})
}

// text writes a help text: paragraphs are filled, what is indented there is a
// list or stays as it is.
func (p *page) text(text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	apart := false // a paragraph ended
	for i := 0; i < len(lines); {
		if lines[i] == "" {
			apart = true
			i++
			continue
		}
		if apart {
			p.line(".PP")
		}
		end := i + 1
		for end < len(lines) && lines[end] != "" && indented(lines[end]) == indented(lines[i]) {
			end++
		}
		if apart = indented(lines[i]); apart {
			p.block(lines[i:end])
		} else {
			p.line("%s", escape(strings.Join(lines[i:end], "\n")))
		}
		i = end
	}
}

func indented(line string) bool {
	return strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
}

// block writes indented lines: terms with explanations in a second column or
// further in below them, or text that stays as it is.
func (p *page) block(lines []string) {
	column := regexp.MustCompile(`^ +(\S.*?) {2,}(\S.*)$`)
	depth := func(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }
	var literal []string
	listed := false
	for i := 0; i < len(lines); {
		end := i + 1
		for end < len(lines) && depth(lines[end]) >= depth(lines[i])+4 {
			end++
		}
		row := column.FindStringSubmatch(lines[i])
		if row == nil && end == i+1 {
			if listed {
				p.line(".PP") // the list is over
			}
			listed = false
			literal = append(literal, lines[i])
			i = end
			continue
		}
		p.literal(literal)
		literal, listed = nil, true
		below := lines[i+1 : end]
		if row == nil {
			p.term(".B " + escape(strings.TrimSpace(lines[i])))
			p.line("%s", strings.ReplaceAll(escape(strings.Join(trimmed(below), "\n")), "\n", "\n.br\n"))
		} else {
			p.term(".B " + escape(row[1]))
			p.line("%s", escape(strings.Join(append(row[2:], trimmed(below)...), "\n")))
		}
		i = end
	}
	p.literal(literal)
}

func trimmed(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, strings.TrimSpace(l))
	}
	return out
}

func (p *page) literal(lines []string) {
	if len(lines) == 0 {
		return
	}
	p.line(".EX")
	for _, l := range lines {
		p.line("%s", escape(strings.TrimPrefix(strings.TrimPrefix(l, "\t"), "  ")))
	}
	p.line(".EE")
}

// seeAlso names the command above, and the topics.
func (p *page) seeAlso(root, c *cobra.Command) {
	var refs []string
	if c.HasParent() {
		refs = append(refs, ".BR "+escape(fileName(c.Parent(), "-"))+" (1)")
	}
	for _, topic := range root.Commands() {
		if topic.IsAdditionalHelpTopicCommand() && topic != c {
			refs = append(refs, ".BR "+escape(fileName(topic, "-"))+" (7)")
		}
	}
	p.section(`"SEE ALSO"`)
	p.line("%s", strings.Join(refs, ",\n"))
}

// escape makes text safe for troff: characters that it would act on, or turn
// into others that no shell understands.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	return regexp.MustCompile(`(?m)^\.`).ReplaceAllString(text, `\&.`)
}
