package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// helpTopics are commands that only explain: vers-fleet help TOPIC.
func helpTopics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "outage", Short: "What to do when the API is down", Long: outageHelp},
		{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesHelp()},
		{Use: "environment", Short: "Settings, variables and files", Long: environmentHelp()},
		{Use: "json", Short: "Output for scripts", Long: jsonHelp},
	}
}

const outageHelp = `The API is not the way to your VMs: ssh, exec, pull and push connect to the VM
itself, with the key and host key that were recorded while the API answered.

See where you stand:
  vers-fleet status               is the API down, since when, what to do now
  vers-fleet vms                  the last inventory, with its age
  vers-fleet drill                which VMs can be reached without the API

Work on; these connect directly:
  vers-fleet ssh marketing
  vers-fleet pull marketing       bring the work home before a VM is reaped
  vers-fleet pull --all
  vers-fleet output marketing     what the lieutenant said; send tells it more

Snapshots need the API. Queue them, or wait:
  vers-fleet commit --queue marketing
  vers-fleet queue list
  vers-fleet wait && vers-fleet queue run

No key recorded for a VM? Take over one that another client left on this
machine, or a bundle from a colleague:
  vers-fleet keys import --found
  vers-fleet keys import bundle.age

--offline makes no API call at all; --live accepts nothing but a live answer.

Before the next outage: run vers-fleet keys sync now and then (from cron, it
costs next to nothing), and vers-fleet drill to see what is missing.`

func exitCodesHelp() string {
	var b strings.Builder
	b.WriteString("Scripts may rely on these:\n\n")
	for _, m := range exitTable() {
		fmt.Fprintf(&b, "  %3d  %s\n", m.Code, strings.ReplaceAll(ui.Wrap(m.Meaning, helpWidth-7), "\n", "\n       "))
	}
	b.WriteString(`
ssh VM -- COMMAND and exec on a single VM end with the command's own status.
With -o json an error is one JSON object on stderr with the same exit_code.`)
	return b.String()
}

func environmentHelp() string {
	var b strings.Builder
	b.WriteString(`A flag wins over the environment, the environment over the configuration file,
the file over the default. vers-fleet config view shows what holds and why.

The file is $XDG_CONFIG_HOME/vers-fleet/config.yaml (~/.config/vers-fleet/...);
--config or VERS_FLEET_CONFIG name another. Keys below profiles.NAME hold for
that profile only and win over the others. Example:

  api_url: https://api.vers.sh/api/v1
  api_key_command: pass show vers/api-key
  pull:
    paths: [/root/workspace, /root/out]
  profiles:
    staging:
      api_url: https://staging.example/api/v1
      api_key_command: pass show vers/staging

Keys, their variables and defaults:

`)
	for _, k := range settings.Keys() {
		fmt.Fprintf(&b, "  %s\n      %s\n      %s", k.Name, strings.ReplaceAll(ui.Wrap(k.Help, helpWidth-6), "\n", "\n      "), k.Variable())
		for _, v := range k.Foreign {
			b.WriteString(", " + v)
		}
		if k.Default != "" {
			b.WriteString("; default " + k.Default)
		}
		b.WriteString("\n")
	}
	b.WriteString(foreignHelp)
	return b.String()
}

// foreignHelp tells of variables and files of other programs.
const foreignHelp = `
VERS_URL holds a host only; /api/v1 is added. Variables of other clients
(VERS_API_KEY, VERS_BASE_URL, VERS_URL, VERS_INFRA_URL, VERS_AUTH_TOKEN) yield
to what the chosen profile says for itself. Without a key from any of these,
the default profile uses ~/.versrc, ~/.pi/vers/keys.json (or that in VERS_HOME,
or in vers beside PI_CODING_AGENT_DIR), ~/.vers/keys.json or
~/.vers/config.json. api_key_command runs through the shell, only when the API
is to be called.

Also respected: NO_COLOR, TERM=dumb or no TERM, CI; HTTPS_PROXY, HTTP_PROXY and
NO_PROXY for the API; SSL_CERT_FILE; VERS_HOME, PI_CODING_AGENT_DIR, ~/.pi
and ~/.vers for names of VMs.`

const jsonHelp = `-o chooses the form: table and wide for people; json, jsonl, yaml and name for
scripts. --jq EXPRESSION and --template TEXT work on the JSON form.

  vers-fleet vms -o json
  vers-fleet vms -o name
  vers-fleet vms --jq '.[] | select(.state == "running") | .vm_id'
  vers-fleet vms --template '{{range .}}{{.name}} {{.state}}{{"\n"}}{{end}}'

A listing is an array, [] when there is nothing; jsonl prints an element per
line. A single thing is an object. Times are RFC 3339 in UTC, durations are
seconds, sizes are bytes. Field names are stable; new ones may be added.

What may come from the cache carries "source" ("live" or "cache") and "as_of".

Errors are one JSON object on one line of stderr:
  {"error":{"kind":"unavailable","message":"...","why":"...","next":"...",
   "origin":"api","retryable":true,"exit_code":5}}
Kinds: unexpected, usage, not_found, ambiguous, auth, refused, unavailable,
unreachable, login_refused, partial, identity, storage, queued, interrupted,
remote_exit.
Origins: api, ssh, remote (a command on the VM), local.

A table in a pipe is tab separated, without header, with absolute times.`
