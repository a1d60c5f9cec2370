package cmd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/viper"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// layer is where a value comes from; a higher one wins.
type layer int

const (
	layerDefault layer = iota
	layerFile
	layerProfile    // profiles.<name> of the file
	layerForeignEnv // variables that belong to other clients of the platform
	layerEnv        // VERS_FLEET_*
	layerFlag
)

// origin says where one value comes from.
type origin struct {
	layer layer
	text  string // "default", "environment VERS_API_KEY", "/path/config.yaml line 3"
}

// layers are the settings as text, each with its origin, before they are
// checked.
type layers struct {
	v       *viper.Viper
	origins map[string]origin
	file    *configFile
	named   bool // the file was named by flag or variable
	profile string
	getenv  func(string) string
}

// loadLayers puts flag over environment over file over default. Unknown keys
// of the file are told to warn.
func loadLayers(e *Env, warn func(string)) (*layers, error) {
	l := &layers{v: viper.New(), origins: map[string]origin{}, getenv: e.Getenv}
	for _, k := range settingKeys() {
		l.v.SetDefault(k.name, k.def)
		l.origins[k.name] = origin{layerDefault, "default"}
	}
	path, explicit := configPath(e)
	l.named = e.flags.config != "" || e.Getenv("VERS_FLEET_CONFIG") != ""
	l.file = &configFile{}
	if path != "" {
		file, err := readConfigFile(path, explicit)
		if err != nil {
			return nil, err
		}
		l.file = file
	}
	values, err := l.file.values(warn)
	if err != nil {
		return nil, err
	}
	l.setFromFile(values, layerFile, "")
	if err := l.chooseProfile(e, values); err != nil {
		return nil, err
	}
	values, err = l.file.profileValues(l.profile, warn)
	if err != nil {
		return nil, err
	}
	delete(values, "profile")
	l.setFromFile(values, layerProfile, ", profile "+l.profile)
	l.setFromEnvironment()
	if e.flags.apiURL != "" {
		l.set("api_url", e.flags.apiURL, origin{layerFlag, "flag --api-url"})
	}
	return l, nil
}

func (l *layers) set(name string, value any, o origin) {
	l.v.Set(name, value)
	l.origins[name] = o
}

func (l *layers) setFromFile(values map[string]fileValue, ly layer, more string) {
	for name, v := range values {
		l.set(name, v.value, origin{ly, fmt.Sprintf("%s line %d%s", l.file.path, v.line, more)})
	}
}

// setFromEnvironment reads the variables; an empty one counts as not set. The
// variables of other clients describe one account, so they yield to what the
// chosen profile says for itself.
func (l *layers) setFromEnvironment() {
	for _, k := range settingKeys() {
		if k.name == "profile" {
			continue // chosen already
		}
		for _, name := range slices.Backward(k.env) {
			if v := l.getenv(name); v != "" && !l.profileDecides(k.name) {
				l.set(k.name, foreignValue(name, v), origin{layerForeignEnv, "environment " + name})
			}
		}
		if v := l.getenv(k.variable()); v != "" {
			l.set(k.name, v, origin{layerEnv, "environment " + k.variable()})
		}
	}
}

func (l *layers) profileDecides(name string) bool {
	return l.origins[name].layer == layerProfile ||
		name == "api_key" && l.origins["api_key_command"].layer == layerProfile
}

// foreignValue completes VERS_URL, which names only the host.
func foreignValue(variable, v string) string {
	if variable != versURL {
		return v
	}
	if !strings.Contains(v, "://") {
		v = "https://" + v
	}
	return strings.TrimRight(v, "/") + "/api/v1"
}

func (l *layers) chooseProfile(e *Env, values map[string]fileValue) error {
	name, from := "default", origin{layerDefault, "default"}
	if v, ok := values["profile"]; ok {
		name, from = fmt.Sprint(v.value), l.origins["profile"]
	}
	if v := e.Getenv("VERS_FLEET_PROFILE"); v != "" {
		name, from = v, origin{layerEnv, "environment VERS_FLEET_PROFILE"}
	}
	if v := e.flags.profile; v != "" {
		name, from = v, origin{layerFlag, "flag --profile"}
	}
	if !validProfile(name) {
		return usageError(fmt.Sprintf("%q is no profile name (from %s)", ui.Clean(name), from.text),
			"a name has letters, digits, dots, dashes and underscores, starts with a letter or digit, and is at most 64 long", "")
	}
	if known := l.file.profileNames(); len(known) > 0 && name != "default" && !slices.Contains(known, name) {
		next := "known profiles: default, " + ui.Clean(strings.Join(known, ", "))
		if n := nearest(name, known); n != "" {
			next = "did you mean " + n + "? " + next
		}
		return usageError(fmt.Sprintf("there is no profile %q (from %s)", name, from.text), "", next)
	}
	l.profile = name
	l.set("profile", name, from)
	return nil
}

// validProfile admits what is safe as a folder name everywhere.
func validProfile(name string) bool {
	ok, _ := regexp.MatchString(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, name)
	return ok && !strings.HasSuffix(name, ".")
}
