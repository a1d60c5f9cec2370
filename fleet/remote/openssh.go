package remote

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
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
