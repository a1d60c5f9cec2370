package sim

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openSSH prepares an OpenSSH client configuration that reaches the
// simulator's VMs through openssl, and returns its path.
func openSSH(t *testing.T, s *Sim, vm *VM) string {
	t.Helper()
	for _, name := range []string{"ssh", "sftp", "scp", "openssl"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name)
		}
	}
	dir := t.TempDir()
	key, err := vm.PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	hostKey, err := vm.HostKey()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"id": string(key), "known_hosts": "vm " + hostKey + "\n",
		"config": "Host vm\n User root\n IdentityFile " + dir + "/id\n IdentitiesOnly yes\n BatchMode yes\n" +
			" UserKnownHostsFile " + dir + "/known_hosts\n GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n" +
			" ProxyCommand openssl s_client -quiet -verify_quiet -verify_return_error -CAfile " + s.CAFile() +
			" -connect " + s.Gateway() + " -servername " + s.ServerName(vm) + "\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "config")
}

func TestOpenSSHClients(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := s.VM("marketing")
	config := openSSH(t, s, vm)
	dir := t.TempDir()

	cmd := exec.CommandContext(t.Context(), "ssh", "-F", config, "vm", "cat; echo err >&2; exit 9")
	cmd.Stdin = strings.NewReader("through openssl\n")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 9 || out.String() != "through openssl\n" || !strings.Contains(errOut.String(), "err\n") {
		t.Errorf("ssh: %v %q %q", err, out.String(), errOut.String())
	}
	if text, err := exec.CommandContext(t.Context(), "ssh", "-F", config, "-tt", "vm", "echo on $TERM").CombinedOutput(); err != nil || !strings.Contains(string(text), "on "+os.Getenv("TERM")) || !strings.Contains(string(text), "\r\n") {
		t.Errorf("ssh -tt: %v %q", err, text)
	}
	if text, err := exec.CommandContext(t.Context(), "scp", "-q", "-r", "-p", "-F", config, "vm:/root/workspace/images", dir).CombinedOutput(); err != nil {
		t.Errorf("scp: %v %s", err, text)
	}
	want, err := os.ReadFile(filepath.Join(vm.Root(), "root/workspace/images/campaign-03.png"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "images/campaign-03.png")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("scp: %d bytes of %d, %v", len(got), len(want), err)
	}
	batch := exec.CommandContext(t.Context(), "sftp", "-q", "-b", "-", "-F", config, "vm")
	batch.Stdin = strings.NewReader("cd workspace\nls -l\nput " + config + " up\nchmod 600 up\nrename up up2\nmkdir d\n")
	if text, err := batch.CombinedOutput(); err != nil || !strings.Contains(string(text), "brief.md") {
		t.Errorf("sftp: %v %s", err, text)
	}
	if _, err := os.Stat(filepath.Join(vm.Root(), "root/workspace/up2")); err != nil {
		t.Error(err)
	}
	tarball := exec.CommandContext(t.Context(), "ssh", "-F", config, "vm", "tar -C /root -cf - workspace")
	unpack := exec.CommandContext(t.Context(), "tar", "-C", dir, "-xf", "-")
	pipe, err := tarball.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	unpack.Stdin = pipe
	if err := tarball.Start(); err != nil {
		t.Fatal(err)
	}
	if text, err := unpack.CombinedOutput(); err != nil {
		t.Errorf("tar: %v %s", err, text)
	}
	if err := tarball.Wait(); err != nil {
		t.Error(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "workspace/latest.png")); err != nil || target != "images/campaign-08.png" {
		t.Errorf("tar: link %q %v", target, err)
	}
}
