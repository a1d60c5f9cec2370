package settings

import (
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/pflag"
)

// The folders are those of the XDG Base Directory Specification 0.8 (and their
// equals on Windows). Relative XDG values are ignored, as it demands.

// UserHome is the home directory, or "" when none is known.
func UserHome() string {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if h := os.Getenv(name); filepath.IsAbs(h) {
		return filepath.Clean(h)
	}
	return ""
}

// dataFolder is where all local state is by default, or "".
func dataFolder() string {
	return baseFolder("XDG_DATA_HOME", "LOCALAPPDATA", filepath.Join(".local", "share"))
}

func baseFolder(xdg, windows, below string) string {
	if d := os.Getenv(xdg); filepath.IsAbs(d) {
		return filepath.Join(d, "vers-fleet")
	}
	if d := os.Getenv(windows); runtime.GOOS == "windows" && filepath.IsAbs(d) {
		return filepath.Join(d, "vers-fleet")
	}
	if h := UserHome(); h != "" {
		return filepath.Join(h, below, "vers-fleet")
	}
	return ""
}

// configVariable names another configuration file.
const configVariable = "VERS_FLEET_CONFIG"

// Path is the configuration file, whether or not it exists: the one that
// --config among flags (which may be nil) or VERS_FLEET_CONFIG names, else the
// one in its usual place. The error, of kind usage, says that no place is known.
func Path(flags *pflag.FlagSet) (string, error) {
	path, _ := configPath(flags)
	if path == "" {
		return "", usage("no place for the configuration file", "neither HOME nor XDG_CONFIG_HOME is set to an absolute path",
			"set HOME, or name a file with --config")
	}
	return path, nil
}

// configPath is Path, or "", and whether a person named it.
func configPath(flags *pflag.FlagSet) (path string, named bool) {
	if f := given(flags, "config"); f != nil {
		return f.Value.String(), true
	}
	if v := os.Getenv(configVariable); v != "" {
		return v, true
	}
	if dir := baseFolder("XDG_CONFIG_HOME", "APPDATA", ".config"); dir != "" {
		return filepath.Join(dir, "config.yaml"), false
	}
	return "", false
}

// given is a flag that stands on the command line, or nil.
func given(flags *pflag.FlagSet, name string) *pflag.Flag {
	if flags == nil || name == "" {
		return nil
	}
	if f := flags.Lookup(name); f != nil && f.Changed {
		return f
	}
	return nil
}
