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

	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// One resolves a single name, id or prefix.
func (f *Fleet) One(ctx context.Context, name string) (VM, error) {
	vms, err := f.Resolve(ctx, Selection{Names: []string{name}})
	if err != nil {
		return VM{}, err
	}
	return vms[0], nil
}

// Knows reports whether word selects one or more recorded VMs.
func (f *Fleet) Knows(word string) bool {
	known, err := f.known()
	if err != nil {
		return false
	}
	_, err = newDirectory(known).pick(word)
	return err == nil || kindOf(err) == Ambiguous
}

// StdioForward joins in and out to an address as seen from the VM (ssh -W).
func (f *Fleet) StdioForward(ctx context.Context, vm VM, address string, in io.Reader, out io.Writer) error {
	conn, err := f.Connect(ctx, vm)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.Stdio(ctx, address, in, out)
	if errors.Is(err, sshconn.ErrRefused) {
		return &Error{Kind: Unreachable, What: "cannot connect from " + vm.Title() + " to " + address, Why: err.Error(), Origin: OriginRemote, Err: err,
			Next: "see on the VM whether something listens there"}
	}
	return f.sessionError(ctx, vm, err)
}

// OpenSSHCommand is the plain ssh command that does what Session does.
func (f *Fleet) OpenSSHCommand(vm VM, command []string) string {
	args := []string{"ssh"}
	for _, o := range f.sshOptions(vm) {
		args = append(args, "-o", shellQuote(o.key+"="+o.value))
	}
	args = append(args, "root@"+f.hostName(vm.ID))
	if len(command) > 0 {
		args = append(args, "--", shellQuote(strings.Join(command, " ")))
	}
	return strings.Join(args, " ")
}

// sshOption is one line of an OpenSSH configuration.
type sshOption struct{ key, value string }

// sshOptions are what plain OpenSSH needs to reach the VM with what is
// recorded. Values are quoted as ssh_config(5) wants it.
func (f *Fleet) sshOptions(vm VM) []sshOption {
	program, err := os.Executable()
	if err != nil {
		program = "vers-fleet"
	}
	var proxy strings.Builder
	for _, a := range append(f.proxyEnv(), program, "--profile", f.o.Profile, "proxy", vm.ID) {
		proxy.WriteString(shellQuote(a) + " ")
	}
	return []sshOption{
		{"User", "root"},
		{"HostKeyAlias", f.hostName(vm.ID)},
		{"IdentityFile", confPath(f.keys.KeyPath(vm.ID))},
		{"IdentitiesOnly", "yes"},
		{"UserKnownHostsFile", confPath(f.keys.KnownHostsPath())},
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

// shellQuote makes s one word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%=") == "" && s[0] != '-' {
		return s
	}
	if strings.HasPrefix(s, "--") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// confPath is a path as a value of ssh_config, where % begins a token.
func confPath(s string) string { return confQuote(strings.ReplaceAll(s, "%", "%%")) }

// confQuote makes s one word of ssh_config, which knows quotes, backslashes and
// comments as argv_split in OpenSSH's misc.c does.
func confQuote(s string) string {
	if !strings.ContainsAny(s, " \t\"'\\#") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// hostAliases are the names of a VM that plain ssh may use: those that mean it
// here too and no more than themselves in ssh_config, and its id.
func hostAliases(vm VM, all *directory) []string {
	var out []string
	for _, n := range vm.Names {
		host := "vers-" + n.Name
		if strings.ContainsFunc(n.Name, notInAlias) || slices.Contains(out, host) {
			continue
		}
		if got, err := all.pick(n.Name); err == nil && got.ID == vm.ID {
			out = append(out, host)
		}
	}
	return append(out, "vers-"+vm.ID, vm.ID)
}

func notInAlias(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-+@", r)
}
