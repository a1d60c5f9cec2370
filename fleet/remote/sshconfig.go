package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Config is the ssh_config text with an entry vers-<name> for each known
// VM that has a recorded key, and how many there are.
func (s *OpenSSH) Config() (string, int, error) {
	vms, err := s.o.Inventory.Known()
	if err != nil {
		return "", 0, err
	}
	all := inventory.NewDirectory(vms)
	var b strings.Builder
	n := 0
	for _, vm := range vms {
		if !s.o.Store.HasKey(vm.ID) {
			continue
		}
		n++
		fmt.Fprintf(&b, "Host %s\n", strings.Join(hostAliases(vm, all), " "))
		fmt.Fprintf(&b, "  HostName %s\n", s.o.Front.HostName(vm.ID))
		for _, o := range s.sshOptions(vm) {
			if strings.ContainsAny(o.value, "\r\n") || o.key != "ProxyCommand" && strings.Contains(o.value, "${") {
				return "", 0, &problem.Error{Kind: problem.Usage, What: "cannot write the entries for OpenSSH", Origin: problem.OriginLocal,
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
func (s *OpenSSH) sshInclude() string {
	pattern := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, "%", "?", "$", "?").Replace(s.sshConfigFile())
	return "Include " + safe.SSHWord(pattern)
}

func (s *OpenSSH) sshConfigFile() string { return filepath.Join(s.o.Store.Dir(), "ssh_config") }

// Install writes the entries to a file in the profile's folder and
// includes it in ~/.ssh/config, both atomically. It returns the file and the
// number of VMs in it.
func (s *OpenSSH) Install(ctx context.Context) (string, int, error) {
	text, n, err := s.Config()
	if err != nil {
		return "", 0, err
	}
	path := s.sshConfigFile()
	if err := os.MkdirAll(s.o.Store.Dir(), 0o700); err != nil {
		return "", 0, problem.OfStorage("write the ssh configuration", err)
	}
	head := "# Written by vers-fleet ssh-config --install; run it again after changes of the fleet.\n"
	if err := keystore.WriteFile(path, []byte(head+text), 0o600); err != nil {
		return "", 0, problem.OfStorage("write the ssh configuration", err)
	}
	err = s.changeUserConfig(ctx, s.withInclude)
	var own *problem.Error
	if errors.As(err, &own) && own.Next == "" { // such as a file that another program makes
		own.Next = "add this line at its top another way: " + s.sshInclude()
	}
	return path, n, err
}

// Uninstall takes the include out of ~/.ssh/config and removes the
// file with the entries.
func (s *OpenSSH) Uninstall(ctx context.Context) error {
	if err := s.changeUserConfig(ctx, s.withoutInclude); err != nil {
		return err
	}
	if err := os.Remove(s.sshConfigFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return problem.OfStorage("remove the ssh configuration", err)
	}
	return nil
}

// sshLock is the file in ~/.ssh by which installations of several profiles, of
// whatever home, take turns.
const sshLock = ".vers-fleet.lock"

// withInclude is a configuration that reads this profile's entries, whatever
// host is asked for. Lines of several profiles keep their order.
func (s *OpenSSH) withInclude(lines []string) []string {
	for _, line := range lines {
		if strings.TrimSpace(line) == s.sshInclude() {
			return lines
		}
		words := strings.FieldsFunc(strings.ToLower(line), func(r rune) bool { return strings.ContainsRune(" \t=\"", r) })
		if len(words) > 0 && (words[0] == "host" || words[0] == "match") {
			break // what follows is for some hosts only
		}
	}
	return append([]string{s.sshInclude()}, s.withoutInclude(lines)...)
}

// withoutInclude takes this profile's line out.
func (s *OpenSSH) withoutInclude(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.TrimSpace(line) == s.sshInclude() })
}

// changeUserConfig rewrites ~/.ssh/config as change says. What is right already
// is not touched, so that it may be read-only.
func (s *OpenSSH) changeUserConfig(ctx context.Context, change func([]string) []string) error {
	if s.o.UserHome == "" {
		return &problem.Error{Kind: problem.Usage, What: "there is no ~/.ssh/config to change", Why: "HOME is not set", Origin: problem.OriginLocal,
			Next: "print the entries instead: vers-fleet ssh-config"}
	}
	dir := filepath.Join(s.o.UserHome, ".ssh")
	path := filepath.Join(dir, "config") // kept elsewhere it stays there, and a link stays one
	old, text, err := s.userConfig(path, change)
	if err != nil || text == old {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return problem.OfStorage("write "+path, err)
	}
	unlock, err := keystore.LockFile(ctx, filepath.Join(dir, sshLock))
	if err != nil {
		return problem.OfStorage("write "+path, err)
	}
	defer unlock()
	if old, text, err = s.userConfig(path, change); err != nil || text == old {
		return err
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	return problem.OfStorage("write "+path, keystore.WriteFile(path, []byte(text), mode))
}

// maxUserConfig is far more than any ~/.ssh/config.
const maxUserConfig = 16 << 20

// userConfig is the text of the file at path, and what it should be.
func (s *OpenSSH) userConfig(path string, change func([]string) []string) (old, text string, err error) {
	raw, err := keystore.ReadFile(path, maxUserConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", problem.OfStorage("read "+path, err)
	}
	var lines []string
	for line := range strings.Lines(string(raw)) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	text = strings.Join(change(lines), "\n")
	if text != "" {
		text += "\n"
	}
	return string(raw), text, nil
}
