package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// layer is where a value comes from; a higher one wins.
type layer int

const (
	layerDefault layer = iota
	layerFile
	layerProfile // profiles.<name> of the file
	layerForeign // variables that belong to other clients of the platform
	layerOwn     // VERS_FLEET_*
	layerFlag
)

// origin says where one value comes from.
type origin struct {
	layer  layer
	text   string // "default", "environment VERS_API_KEY", "/path/config.yaml line 3"
	folder string // that relative paths count from; "" is the current one
}

// found is a value of the defaults or of the file on its way through viper,
// which hands it back if nothing above it is set.
type found struct {
	value any // string or []string
	from  origin
}

// layers are the settings as they were written, before they are checked.
type layers struct {
	v     *viper.Viper
	flags *pflag.FlagSet
	file  *file
	named bool                // the file was named by flag or variable
	vars  map[string][]string // variables that count for a key, the first that is set wins
}

// newLayers puts flag over environment over file over default. Unknown keys
// of the file are told to warn.
func newLayers(flags *pflag.FlagSet, newFile bool, warn func(string)) (*layers, error) {
	l := &layers{v: viper.New(), flags: flags, file: &file{}, vars: map[string][]string{}}
	for _, k := range Keys() {
		l.v.SetDefault(k.Name, found{k.fallback(), origin{layer: layerDefault, text: "default"}})
		if f := given(flags, k.Flag); f != nil {
			if err := l.v.BindPFlag(k.Name, f); err != nil {
				return nil, err
			}
		}
	}
	path, named := configPath(flags)
	if l.named = named; path != "" {
		file, err := readFile(path, named && !newFile)
		if err != nil {
			return nil, err
		}
		l.file = file
	}
	top, err := l.file.values(warn)
	if err != nil {
		return nil, err
	}
	if err := l.addFile(top, origin{layer: layerFile}); err != nil {
		return nil, err
	}
	if err := l.addVariables("profile", Key{Name: "profile"}.Variable()); err != nil {
		return nil, err
	}
	return l, l.addProfile(warn)
}

// fallback is the default as it holds here.
func (k Key) fallback() string {
	switch {
	case k.Name == "home":
		return dataFolder()
	case k.Name == "ssh.share" && inCI():
		return "off" // a job must leave no process behind
	}
	return k.Default
}

// inCI recognises an unattended job, as the services mark it.
func inCI() bool {
	v := strings.ToLower(os.Getenv("CI"))
	return v != "" && v != "0" && v != "false"
}

func (l *layers) addFile(values map[string]fileValue, from origin) error {
	config := map[string]any{}
	for name, v := range values {
		at := from
		at.text = fmt.Sprintf("%s line %d%s", l.file.path, v.line, from.text)
		at.folder = l.file.folder()
		config[name] = found{v.value, at}
	}
	return l.v.MergeConfigMap(config)
}

// addVariables binds variables to a key; an empty one counts as not set.
func (l *layers) addVariables(key string, names ...string) error {
	l.vars[key] = names
	return l.v.BindEnv(append([]string{key}, names...)...)
}

// addProfile chooses the profile, and adds what it says for itself and the
// variables. Those of other clients describe one account, so they yield to the
// profile.
func (l *layers) addProfile(warn func(string)) error {
	name, from := l.get("profile")
	profile := textOf(name)
	if _, err := profileName(profile); err != nil {
		return usage(fmt.Sprintf("%q is no profile name (from %s)", profile, from.text), err.Error(), "")
	}
	if known := l.file.profiles(); len(known) > 0 && profile != "default" && !slices.Contains(known, profile) {
		next := fmt.Sprintf("known profiles: default, %s", strings.Join(known, ", "))
		if near := nearest(profile, known); near != "" {
			next = "did you mean " + near + "? " + next
		}
		return usage(fmt.Sprintf("there is no profile %q (from %s)", profile, from.text), "", next)
	}
	own, err := l.file.profileValues(profile, warn)
	if err != nil {
		return err
	}
	delete(own, "profile")
	if err := l.addFile(own, origin{layer: layerProfile, text: ", profile " + profile}); err != nil {
		return err
	}
	_, ownCommand := own["api_key_command"]
	for _, k := range Keys() {
		names := []string{k.Variable()}
		if _, decided := own[k.Name]; !decided && (k.Name != "api_key" || !ownCommand) {
			names = append(names, k.Foreign...)
		}
		if k.Name != "profile" { // bound before
			if err := l.addVariables(k.Name, names...); err != nil {
				return err
			}
		}
	}
	return nil
}

// get is the value of a key, a string or a list of them, and its origin.
func (l *layers) get(key string) (any, origin) {
	value := l.v.Get(key)
	if f, ok := value.(found); ok {
		return f.value, f.from
	}
	k, _ := Find(key)
	if given(l.flags, k.Flag) != nil {
		return value, origin{layer: layerFlag, text: "flag --" + k.Flag}
	}
	for _, name := range l.vars[key] {
		switch {
		case os.Getenv(name) == "":
		case name == k.Variable():
			return value, origin{layer: layerOwn, text: "environment " + name}
		case name == versURL:
			return apiBelow(textOf(value)), origin{layer: layerForeign, text: "environment " + name}
		default:
			return value, origin{layer: layerForeign, text: "environment " + name}
		}
	}
	return value, origin{}
}

func (l *layers) text(key string) (string, origin) {
	value, from := l.get(key)
	return strings.TrimSpace(textOf(value)), from
}

// apiBelow completes VERS_URL, which names only the host.
func apiBelow(host string) string {
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	return strings.TrimRight(host, "/") + "/api/v1"
}
