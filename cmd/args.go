package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return argsError(c, fmt.Sprintf("%s takes no arguments, got %q", commandName(c), ui.Clean(args[0])))
	}
	return nil
}

// argCount wants between least and most arguments; most < 0 is no limit.
func argCount(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch n := len(args); {
		case n < least:
			return argsError(c, fmt.Sprintf("%s needs %s, got %d", commandName(c), argsWanted(least, most), n))
		case most >= 0 && n > most:
			return argsError(c, fmt.Sprintf("%s takes %s, got %d", commandName(c), argsWanted(least, most), n))
		}
		return nil
	}
}

// commandName is the command as "keys list": what it says begins with the
// program's name anyway.
func commandName(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

func argsWanted(least, most int) string {
	switch {
	case most < 0 && least == 1:
		return "at least 1 argument"
	case most < 0:
		return fmt.Sprintf("at least %d arguments", least)
	case least == most && most == 1:
		return "1 argument"
	case least == most:
		return fmt.Sprintf("%d arguments", most)
	default:
		return fmt.Sprintf("%d to %d arguments", least, most)
	}
}

func argsError(c *cobra.Command, what string) error {
	return usageError(what, "", "usage: "+c.UseLine())
}

// nearest returns the candidate that a mistyped word most likely means, or ""
// when none is near.
func nearest(word string, candidates []string) string {
	if near := problem.Nearest(word, candidates, 1); len(near) > 0 {
		return near[0]
	}
	return ""
}
