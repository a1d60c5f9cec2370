package cmd

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
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
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := editDistance(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
