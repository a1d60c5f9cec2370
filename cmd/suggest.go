package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// elsewhere are the words that other tools have for what commands here do. Of the
// commands behind a word those are meant that the one being called has.
func elsewhere() map[string][]string {
	list, gone, fetch := []string{"list", "vms"}, []string{"remove", "drop"}, []string{"pull", "push"}
	return map[string][]string{
		"ls": list, "ps": list, "vm": list, "list": append(list, "view"), "show": {"view", "vms"}, "cp": fetch, "scp": fetch, "rsync": fetch, "copy": fetch, "sync": {"pull"},
		"rm": gone, "delete": gone, "del": gone, "unset": gone, "add": {"set", "import"}, "logs": {"output"}, "log": {"output"},
		"shell": {"ssh"}, "sh": {"ssh"}, "login": {"ssh"}, "connect": {"ssh"}, "run": {"exec", "ssh"}, "create": {"branch", "set"}, "new": {"branch", "set"},
		"clone": {"branch"}, "fork": {"branch"}, "snapshot": {"commit"}, "stop": {"pause"}, "start": {"resume"}, "health": {"status"}, "rename": {"alias"},
	}
}

// suggest says what a word that is no command of c may mean; "" when nobody knows.
func suggest(c *cobra.Command, word string) string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	meant := slices.DeleteFunc(elsewhere()[strings.ToLower(word)], func(name string) bool { return !slices.Contains(names, name) })
	for i, name := range meant {
		meant[i] = c.CommandPath() + " " + name
	}
	switch word := strings.ToLower(word); {
	case len(meant) > 0:
		return "did you mean: " + strings.Join(meant, ", or ")
	case c.HasParent():
	case word == "rm" || word == "delete" || word == "destroy":
		return "no command deletes a VM; to stop one: vers-fleet pause"
	case word == "json":
		return "JSON is a form of every answer, as in: vers-fleet vms -o json"
	}
	if n := nearest(word, names); n != "" {
		return "did you mean: " + c.CommandPath() + " " + n
	}
	return ""
}
