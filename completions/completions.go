package completions

import (
	"embed"
	"strings"
)

//go:embed vers-fleet.bash _vers-fleet vers-fleet.fish vers-fleet.ps1
var scripts embed.FS

// Script is the script for bash, zsh, fish or powershell, with or without what
// is said about each word that is offered. Another shell is an error.
func Script(shell string, descriptions bool) (string, error) {
	name := map[string]string{"bash": "vers-fleet.bash", "zsh": "_vers-fleet", "fish": "vers-fleet.fish", "powershell": "vers-fleet.ps1"}[shell]
	raw, err := scripts.ReadFile(name)
	text := string(raw)
	if !descriptions {
		text = strings.ReplaceAll(text, " __offer ", " __offer --no-descriptions ")
	}
	return text, err
}
