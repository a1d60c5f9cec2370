// Command gen writes what is derived from the command tree: manual pages and
// the Markdown reference. The output depends on the tree
// alone, so that `make verify` can compare it.
//
//	go run ./cmd/internal/gen [FOLDER]
package main

import (
	"bytes"
	"errors"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/vers-fleet/vers-fleet/cmd"
)

func main() {
	log.SetFlags(0)
	to := "."
	if len(os.Args) > 1 {
		to = os.Args[1]
	}
	if err := generate(to); err != nil {
		log.Fatal(err)
	}
}

func generate(to string) error {
	root := cmd.Tree()
	return errors.Join(
		manPages(root, filepath.Join(to, "docs", "man")),
		reference(root, filepath.Join(to, "docs", "reference")),
	)
}

func reference(root *cobra.Command, dir string) error {
	if err := emptyFolder(dir, ".md"); err != nil {
		return err
	}
	return each(root, func(c *cobra.Command) error {
		var b bytes.Buffer
		if err := doc.GenMarkdown(c, &b); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, fileName(c, "_")+".md"), b.Bytes(), 0o644)
	})
}

// each visits every command that can be run or holds some, but not the help
// topics.
func each(c *cobra.Command, visit func(*cobra.Command) error) error {
	if err := visit(c); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
			if err := each(sub, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func fileName(c *cobra.Command, separator string) string {
	return strings.ReplaceAll(c.CommandPath(), " ", separator)
}

// emptyFolder makes dir and removes what an earlier run left, so that the page
// of a command that is gone goes too.
func emptyFolder(dir, suffix string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	for _, f := range old {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}
