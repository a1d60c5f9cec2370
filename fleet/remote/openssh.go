package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Command is the plain ssh command that does what Session does.
func (s *OpenSSH) Command(vm inventory.VM, command []string) string {
	args := []string{"ssh"}
	for _, o := range s.sshOptions(vm) {
		args = append(args, "-o", safe.Word(o.key+"="+o.value))
	}
	args = append(args, "root@"+s.o.Front.HostName(vm.ID))
	if len(command) > 0 {
		args = append(args, "--", safe.Word(strings.Join(command, " ")))
	}
	return strings.Join(args, " ")
}

// sshOption is one line of an OpenSSH configuration.
type sshOption struct{ key, value string }

// sshOptions are what plain OpenSSH needs to reach the VM with what is
// recorded. Values are quoted as ssh_config(5) wants it.
func (s *OpenSSH) sshOptions(vm inventory.VM) []sshOption {
	program, err := os.Executable()
	if err != nil {
		program = "vers-fleet"
	}
	var proxy strings.Builder
	for _, a := range append(s.proxyEnv(), program, "--profile", s.o.Profile, "proxy", vm.ID) {
		proxy.WriteString(safe.Word(a) + " ")
	}
	return []sshOption{
		{"User", "root"},
		{"HostKeyAlias", s.o.Front.HostName(vm.ID)},
		{"IdentityFile", safe.SSHPath(s.o.Store.KeyPath(vm.ID))},
		{"IdentitiesOnly", "yes"},
		{"UserKnownHostsFile", safe.SSHPath(s.o.Store.KnownHostsPath())},
		{"ProxyCommand", strings.ReplaceAll(strings.TrimSpace(proxy.String()), "%", "%%")},
	}
}

// proxyEnv begins a ProxyCommand that works from a program that has another
// environment, or none, such as an editor or cron. Windows has no env(1).
func (s *OpenSSH) proxyEnv() []string {
	if len(s.o.ProxyEnv) == 0 || runtime.GOOS == "windows" {
		return nil
	}
	return append([]string{"env"}, s.o.ProxyEnv...)
}

// hostAliases are the names of a VM that plain ssh may use: those that mean it
// here too and no more than themselves in ssh_config, and its id.
func hostAliases(vm inventory.VM, all *inventory.Directory) []string {
	var out []string
	for _, n := range vm.Names {
		host := "vers-" + n.Name
		if strings.ContainsFunc(n.Name, notInAlias) || slices.Contains(out, host) {
			continue
		}
		if got, err := all.Pick(n.Name); err == nil && got.ID == vm.ID {
			out = append(out, host)
		}
	}
	return append(out, "vers-"+vm.ID, vm.ID)
}

func notInAlias(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-+@", r)
}

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

// Export writes every key, decrypted, and an ssh_config into dir, for plain
// OpenSSH without this program.
func (s *OpenSSH) Export(ctx context.Context, dir string) (int, error) {
	vms, err := s.o.Inventory.Known()
	if err != nil {
		return 0, err
	}
	var ca []byte
	if s.o.CAFile != "" {
		if _, err := s.o.LoadRoots(); err != nil { // says what is wrong with it
			return 0, err
		}
		if ca, err = keystore.ReadFile(s.o.CAFile, maxUserConfig); err != nil {
			return 0, problem.OfStorage("read "+s.o.CAFile, err)
		}
	}
	hosts, findings, err := s.o.Store.ExportSSH(ctx, dir, func(dir string, hosts []keystore.SSHHost) ([]byte, error) {
		copied := "" // so that the folder needs nothing but itself
		if ca != nil {
			copied = filepath.Join(dir, "ca.pem")
			if err := keystore.WriteFile(copied, ca, 0o600); err != nil {
				return nil, err
			}
		}
		return s.exportedConfig(dir, copied, hosts, vms), nil
	})
	for _, x := range findings {
		s.o.Warn(x.What)
	}
	return len(hosts), problem.OfStorage("export the keys", err)
}

// exportedConfig reaches the VMs through openssl, which is the one tool that
// plain OpenSSH needs for TLS. ca is the file with the authorities of the VMs'
// certificates, "" for those that openssl knows by itself.
func (s *OpenSSH) exportedConfig(dir, ca string, hosts []keystore.SSHHost, vms []inventory.VM) []byte {
	all := inventory.NewDirectory(vms)
	var b bytes.Buffer
	for _, h := range hosts {
		vm, ok := all.ByID(h.Record.VMID)
		if !ok {
			vm = inventory.VM{ID: h.Record.VMID}
		}
		name := s.o.Front.HostName(vm.ID)
		fmt.Fprintf(&b, "Host %s\n  HostName %s\n  User root\n  HostKeyAlias %s\n", strings.Join(hostAliases(vm, all), " "), name, name)
		fmt.Fprintf(&b, "  IdentityFile %s\n  IdentitiesOnly yes\n", safe.SSHPath(h.IdentityFile))
		fmt.Fprintf(&b, "  UserKnownHostsFile %s\n", safe.SSHPath(dir+"/known_hosts"))
		proxy := "openssl s_client -quiet -verify_quiet -servername " + name + " -connect " + safe.Word(s.o.Front.Address(vm.ID))
		if s.o.TLSVerify {
			proxy += " -verify_return_error -verify_hostname " + name
		}
		if s.o.TLSVerify && ca != "" {
			proxy += " -CAfile " + safe.Word(ca)
		}
		fmt.Fprintf(&b, "  ProxyCommand %s\n", strings.ReplaceAll(proxy, "%", "%%"))
	}
	return b.Bytes()
}
