package fleet

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// StdioForward joins in and out to an address as seen from the VM (ssh -W).
func (f *Fleet) StdioForward(ctx context.Context, vm inventory.VM, address string, in io.Reader, out io.Writer) error {
	conn, err := f.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.Stdio(ctx, address, in, out)
	if errors.Is(err, sshconn.ErrRefused) {
		return &problem.Error{Kind: problem.Unreachable, What: "cannot connect from " + vm.Title() + " to " + address, Why: err.Error(), Origin: problem.OriginRemote, Err: err,
			Next: "see on the VM whether something listens there"}
	}
	return f.sessionError(ctx, vm, err)
}

// OpenSSHCommand is the plain ssh command that does what Session does.
func (f *Fleet) OpenSSHCommand(vm inventory.VM, command []string) string {
	args := []string{"ssh"}
	for _, o := range f.sshOptions(vm) {
		args = append(args, "-o", safe.Word(o.key+"="+o.value))
	}
	args = append(args, "root@"+f.front.HostName(vm.ID))
	if len(command) > 0 {
		args = append(args, "--", safe.Word(strings.Join(command, " ")))
	}
	return strings.Join(args, " ")
}

// sshOption is one line of an OpenSSH configuration.
type sshOption struct{ key, value string }

// sshOptions are what plain OpenSSH needs to reach the VM with what is
// recorded. Values are quoted as ssh_config(5) wants it.
func (f *Fleet) sshOptions(vm inventory.VM) []sshOption {
	program, err := os.Executable()
	if err != nil {
		program = "vers-fleet"
	}
	var proxy strings.Builder
	for _, a := range append(f.proxyEnv(), program, "--profile", f.o.Profile, "proxy", vm.ID) {
		proxy.WriteString(safe.Word(a) + " ")
	}
	return []sshOption{
		{"User", "root"},
		{"HostKeyAlias", f.front.HostName(vm.ID)},
		{"IdentityFile", safe.SSHPath(f.keys.KeyPath(vm.ID))},
		{"IdentitiesOnly", "yes"},
		{"UserKnownHostsFile", safe.SSHPath(f.keys.KnownHostsPath())},
		{"ProxyCommand", strings.ReplaceAll(strings.TrimSpace(proxy.String()), "%", "%%")},
	}
}

// proxyEnv begins a ProxyCommand that works from a program that has another
// environment, or none, such as an editor or cron. Windows has no env(1).
func (f *Fleet) proxyEnv() []string {
	if len(f.o.ProxyEnv) == 0 || runtime.GOOS == "windows" {
		return nil
	}
	return append([]string{"env"}, f.o.ProxyEnv...)
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
