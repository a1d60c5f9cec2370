package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vers-fleet/vers-fleet/keystore"
)

// SSHConfig is the ssh_config text with an entry vers-<name> for each known
// VM that has a recorded key, and how many there are.
func (f *Fleet) SSHConfig() (string, int, error) {
	vms, err := f.known()
	if err != nil {
		return "", 0, err
	}
	all := newDirectory(vms)
	var b strings.Builder
	n := 0
	for _, vm := range vms {
		if !f.keys.HasKey(vm.ID) {
			continue
		}
		n++
		fmt.Fprintf(&b, "Host %s\n", strings.Join(hostAliases(vm, all), " "))
		fmt.Fprintf(&b, "  HostName %s\n", f.hostName(vm.ID))
		for _, o := range f.sshOptions(vm) {
			if strings.ContainsAny(o.value, "\r\n") || o.key != "ProxyCommand" && strings.Contains(o.value, "${") {
				return "", 0, &Error{Kind: Usage, What: "cannot write the entries for OpenSSH", Origin: OriginLocal,
					Why: fmt.Sprintf("ssh_config has no way to say %s %q", o.key, o.value), Next: "use a plain folder for home: vers-fleet config set home DIR"}
			}
			fmt.Fprintf(&b, "  %s %s\n", o.key, o.value)
		}
	}
	return b.String(), n, nil
}

// sshInclude is the line that makes OpenSSH read the entries. It must come
// before any Host block, so it is the first line of the file. The path is a
// pattern; % and $ are expanded in it from OpenSSH 9.9 on and not before, so
// they are matched instead of written. There is no comment behind it, which
// OpenSSH before 8.7 would take for more files.
func (f *Fleet) sshInclude() string {
	pattern := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, "%", "?", "$", "?").Replace(f.sshConfigFile())
	return "Include " + confQuote(pattern)
}

func (f *Fleet) sshConfigFile() string { return filepath.Join(f.keys.Dir(), "ssh_config") }

// InstallSSHConfig writes the entries to a file in the profile's folder and
// includes it in ~/.ssh/config, both atomically. It returns the file and the
// number of VMs in it.
func (f *Fleet) InstallSSHConfig() (string, int, error) {
	text, n, err := f.SSHConfig()
	if err != nil {
		return "", 0, err
	}
	path := f.sshConfigFile()
	if err := os.MkdirAll(f.keys.Dir(), 0o700); err != nil {
		return "", 0, storageError("write the ssh configuration", err)
	}
	head := "# Written by vers-fleet ssh-config --install; run it again after changes of the fleet.\n"
	if err := keystore.WriteFile(path, []byte(head+text), 0o600); err != nil {
		return "", 0, storageError("write the ssh configuration", err)
	}
	return path, n, f.changeUserConfig(func(lines []string) []string { return append([]string{f.sshInclude()}, lines...) })
}

// UninstallSSHConfig takes the include out of ~/.ssh/config and removes the
// file with the entries.
func (f *Fleet) UninstallSSHConfig() error {
	if err := f.changeUserConfig(func(lines []string) []string { return lines }); err != nil {
		return err
	}
	if err := os.Remove(f.sshConfigFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storageError("remove the ssh configuration", err)
	}
	return nil
}

// changeUserConfig rewrites ~/.ssh/config without the include of this profile,
// and then as change says. The rest of the file stays as it is.
func (f *Fleet) changeUserConfig(change func([]string) []string) error {
	if f.o.UserHome == "" {
		return &Error{Kind: Usage, What: "there is no ~/.ssh/config to change", Why: "HOME is not set", Origin: OriginLocal,
			Next: "print the entries instead: vers-fleet ssh-config"}
	}
	dir := filepath.Join(f.o.UserHome, ".ssh")
	path, err := followed(filepath.Join(dir, "config"))
	if err != nil {
		return storageError("read ~/.ssh/config", err)
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storageError("read "+path, err)
	}
	var lines []string
	for line := range strings.Lines(string(old)) {
		if strings.TrimSpace(line) != f.sshInclude() {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	text := strings.Join(change(lines), "\n")
	if text != "" {
		text += "\n"
	}
	if text == string(old) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return storageError("write "+path, err)
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	return storageError("write "+path, keystore.WriteFile(path, []byte(text), mode))
}

// followed is the file that a chain of symbolic links ends at, which need not
// exist: a configuration that is kept elsewhere stays there, and the link too.
func followed(path string) (string, error) {
	const most = 40 // as Linux follows, path_resolution(7)
	for range most {
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link; reading it says the rest
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}
