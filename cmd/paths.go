package cmd

import (
	"path/filepath"
	"runtime"
)

// paths finds the folders of the XDG Base Directory Specification 0.8 (and
// their equals on Windows). Relative XDG values are ignored, as it demands.
type paths struct{ getenv func(string) string }

// userHome is the home directory, or "".
func (p paths) userHome() string {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if h := p.getenv(name); filepath.IsAbs(h) {
		return filepath.Clean(h)
	}
	return ""
}

// config is the folder of the configuration, or "" when there is no home.
func (p paths) config() string {
	return p.base("XDG_CONFIG_HOME", "APPDATA", ".config")
}

// data is the folder of all local state.
func (p paths) data() (string, error) {
	if d := p.base("XDG_DATA_HOME", "LOCALAPPDATA", filepath.Join(".local", "share")); d != "" {
		return d, nil
	}
	return "", usageError("no place for keys and records", "neither HOME nor XDG_DATA_HOME is set to an absolute path",
		"set HOME, or name a folder with VERS_FLEET_HOME=/some/folder")
}

func (p paths) base(xdg, windows, below string) string {
	if d := p.getenv(xdg); filepath.IsAbs(d) {
		return filepath.Join(d, "vers-fleet")
	}
	if d := p.getenv(windows); runtime.GOOS == "windows" && filepath.IsAbs(d) {
		return filepath.Join(d, "vers-fleet")
	}
	if h := p.userHome(); h != "" {
		return filepath.Join(h, below, "vers-fleet")
	}
	return ""
}

// configPath is the configuration file to read, "" when no place is known, and
// whether it must exist because a person named it.
func configPath(e *Env) (path string, explicit bool) {
	if e.flags.config != "" {
		return e.flags.config, !e.newFile
	}
	if v := e.Getenv("VERS_FLEET_CONFIG"); v != "" {
		return v, !e.newFile
	}
	if dir := (paths{e.Getenv}).config(); dir != "" {
		return filepath.Join(dir, "config.yaml"), false
	}
	return "", false
}
