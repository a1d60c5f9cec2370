package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return argsError(c, fmt.Sprintf("%s takes no arguments, got %q", commandName(c), safe.Clean(args[0])))
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

// onlyFirst marks a command whose first argument alone is a name; what follows
// may be any text, even none.
func onlyFirst() map[string]string { return map[string]string{"args": "first"} }

// refuseEmpty refuses flags and arguments that are empty: a script's variable
// was not set, and "" would mean this folder, every pattern or no limit. Text
// that is for people may be empty, and so may what follows --.
func refuseEmpty(c *cobra.Command, args []string) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "boolfunc" { // a switch, which keeps no value
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if len(values) == 0 { // what a list with commas makes of ""
			values = []string{""}
		}
		if what, _ := pflag.UnquoteUsage(f); err == nil && what != "TEXT" && f.NoOptDefVal == "" && slices.Contains(values, "") {
			err = usageError("--"+f.Name+" is empty", "", "give it a value, or leave it out")
		}
	})
	if n := c.ArgsLenAtDash(); n >= 0 {
		args = args[:n]
	}
	if c.Annotations["args"] != "" {
		args = args[:min(1, len(args))]
	}
	if err == nil && slices.Contains(args, "") {
		err = argsError(c, "an argument is empty")
	}
	return err
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
