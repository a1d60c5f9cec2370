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
	var b strings.Builder
	n := 0
	for _, vm := range vms {
		if !f.keys.HasKey(vm.ID) {
			continue
		}
		n++
		fmt.Fprintf(&b, "Host %s\n", strings.Join(hostAliases(vm, vms), " "))
		fmt.Fprintf(&b, "  HostName %s\n", f.hostName(vm.ID))
		for _, o := range f.sshOptions(vm) {
			fmt.Fprintf(&b, "  %s %s\n", o.key, o.value)
		}
	}
	return b.String(), n, nil
}

// sshInclude is the line that makes OpenSSH read the entries. It must come
// before any Host block, so it is the first line of the file.
func (f *Fleet) sshInclude() string {
	return "Include " + confQuote(f.sshConfigFile()) + " # vers-fleet, profile " + f.o.Profile
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
	path := filepath.Join(f.o.UserHome, ".ssh", "config")
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a config kept elsewhere stays there
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
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return storageError("write "+path, err)
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	return storageError("write "+path, keystore.WriteFile(path, []byte(text), mode))
}
