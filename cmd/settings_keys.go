package cmd

import (
	"strings"
)

// settingType says how the text of a setting is read.
type settingType int

const (
	asText settingType = iota
	asURL
	asHost
	asHostPort
	asPath // "~/" is the home directory; relative to the configuration file when it stands there
	asBool
	asDuration
	asIdle // a duration or off
	asList // in the environment separated by commas
	asSecret
)

// settingKey is one key of the configuration file. Its variable is
// VERS_FLEET_<KEY> with dots as underscores; env lists further variables.
type settingKey struct {
	name string
	typ  settingType
	def  string
	env  []string
	help string
	road bool // it decides how VMs are reached, so a ProxyCommand must know it
}

// settingKeys is the one table of settings; help, documentation checks,
// `config` and the loader all read it.
func settingKeys() []settingKey {
	return []settingKey{
		{name: "profile", def: "default", help: "account or endpoint to use when --profile is not given"},
		{name: "api_url", typ: asURL, def: "https://api.vers.ai", env: []string{"VERS_BASE_URL", versURL}, help: "base URL of the API", road: true},
		{name: "api_key", typ: asSecret, env: []string{"VERS_API_KEY"}, help: "API key"},
		{name: "api_key_command", help: "shell command that prints the API key"},
		{name: "vm_domain", typ: asHost, def: "vm.vers.sh", help: "VMs are reached as <vm id>.<vm_domain>", road: true},
		{name: "vm_gateway", typ: asHostPort, help: "host:port to dial for every VM; the TLS name stays <vm id>.<vm_domain>", road: true},
		{name: "tls_ca", typ: asPath, help: "file with CA certificates trusted for VMs besides the system's", road: true},
		{name: "tls_verify", typ: asBool, def: "true", help: "false turns the check of TLS certificates of VMs off", road: true},
		{name: "home", typ: asPath, help: "folder of all local state, one folder per profile", road: true},
		{name: "pull.paths", typ: asList, def: "/root/workspace", help: "what pull fetches when no path is given"},
		{name: "retry.max_elapsed", typ: asDuration, def: "10s", help: "how long a call of the API is retried"},
		{name: "retry.base", typ: asDuration, def: "250ms", help: "first wait between two tries, before jitter"},
		{name: "retry.cap", typ: asDuration, def: "5s", help: "longest wait between two tries"},
		{name: "queue.expires", typ: asDuration, def: "24h", help: "a queued commit older than this is not sent"},
		{name: "ssh.strict", typ: asBool, def: "false", help: "true refuses VMs whose host key was never seen before"},
		{name: "ssh.share", typ: asIdle, def: "5m", help: "how long an unused connection is kept for later commands, or off"},
		{name: "keys.identity", typ: asPath, help: "age or SSH identity file that unlocks an encrypted keystore"},
		{name: "keys.keyring", typ: asBool, def: "false", help: "true keeps the keystore's passphrase in the system's keyring"},
		{name: "registry.url", typ: asURL, env: []string{"VERS_INFRA_URL"}, help: "base URL of the registry that knows names of VMs"},
		{name: "registry.token", typ: asSecret, env: []string{"VERS_AUTH_TOKEN"}, help: "bearer token for the registry"},
	}
}

// versURL holds a host only; the API lives at /api/v1 below it.
const versURL = "VERS_URL"

func (k settingKey) variable() string {
	return "VERS_FLEET_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(k.name))
}

func keyNames() []string {
	var names []string
	for _, k := range settingKeys() {
		names = append(names, k.name)
	}
	return names
}

func findKey(name string) (settingKey, bool) {
	for _, k := range settingKeys() {
		if k.name == name {
			return k, true
		}
	}
	return settingKey{}, false
}
