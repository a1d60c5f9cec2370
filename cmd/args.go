package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
)

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return argsError(c, fmt.Sprintf("%s takes no arguments, got %q", c.CommandPath(), ui.Clean(args[0])))
	}
	return nil
}

// argCount wants between least and most arguments; most < 0 is no limit.
func argCount(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch n := len(args); {
		case n < least:
			return argsError(c, fmt.Sprintf("%s needs %s, got %d", c.CommandPath(), argsWanted(least, most), n))
		case most >= 0 && n > most:
			return argsError(c, fmt.Sprintf("%s takes %s, got %d", c.CommandPath(), argsWanted(least, most), n))
		}
		return nil
	}
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
	if near := fleet.Nearest(word, candidates, 1); len(near) > 0 {
		return near[0]
	}
	return ""
}
