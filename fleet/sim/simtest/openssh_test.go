package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// sshArgs makes OpenSSH reach the server as people reach a Vers VM without
// our program: through openssl s_client.
func sshArgs(t *testing.T, s *OpenSSH) []string {
	t.Helper()
	for _, tool := range []string{"ssh", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			Missing(t, fmt.Errorf("%w: no %s to test it with", sshd.ErrMissing, tool))
		}
	}
	// ssh ends its proxy with SIGHUP, which under nohup ends nothing: what lives on must not hold the test's stderr.
	proxy := fmt.Sprintf("openssl s_client -quiet -verify_quiet -verify_return_error -CAfile %s -servername %s -connect %s 2>/dev/null",
		s.Sim.CAFile(), s.ServerName, s.TLSAddr)
	dir := t.TempDir()
	known, key := filepath.Join(dir, "known_hosts"), filepath.Join(dir, "key")
	err := errors.Join(os.WriteFile(known, []byte(s.ServerName+" "+s.HostKey()+"\n"), 0o600), os.WriteFile(key, s.ClientKey, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"-F", "none", "-o", "ProxyCommand=" + proxy, "-o", "IdentitiesOnly=yes", "-i", key,
		"-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
		"-o", "LogLevel=ERROR", "-l", s.User,
	}
}

func run(t *testing.T, s *OpenSSH, stdin, command string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh", append(sshArgs(t, s), s.ServerName, command)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), err
}

func mustRun(t *testing.T, s *OpenSSH, command, want string) {
	t.Helper()
	if got, err := run(t, s, "", command); err != nil || got != want {
		t.Fatalf("%s: got %q, %v; want %q\nlog:\n%s", command, got, err, want, s.Log())
	}
}

func TestCommandThroughTLS(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{})
	mustRun(t, s, "echo hello; pwd", "hello\n"+s.Home)
	got, err := run(t, s, strings.Repeat("x", 3<<20), "wc -c; exit 7")
	if exit := new(exec.ExitError); got != "3145728" || !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("got %q, %v", got, err)
	}
	if s.Logins() != 2 {
		t.Errorf("%d logins counted, want 2", s.Logins())
	}
}

func TestDirectLoginsAreTold(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{})
	mustRun(t, s, "echo 1", "1")
	if _, direct := s.Server.Logins(); direct != 0 {
		t.Errorf("%d direct logins before there was one", direct)
	}
	host, port, _ := strings.Cut(s.Addr, ":")
	// OpenSSH takes the first value of an option: this one before sshArgs' own.
	args := append([]string{"-o", "ProxyCommand=none", "-o", "HostKeyAlias=" + s.ServerName}, sshArgs(t, s)...)
	cmd := exec.CommandContext(t.Context(), "ssh", append(args, "-p", port, host, "true")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if all, direct := s.Server.Logins(); all != 2 || direct != 1 {
		t.Errorf("%d logins, %d direct; want 2 and 1", all, direct)
	}
}

func TestHomeAndTmpBelongToServer(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{})
	mustRun(t, s, "echo data > ~/note; cat ~/note", "data")
	raw, err := os.ReadFile(filepath.Join(s.HomeDir, "note"))
	if err != nil || string(raw) != "data\n" {
		t.Fatalf("seen from outside: %q, %v", raw, err)
	}
	if !s.Isolated {
		t.Skip("left out: /tmp and processes are shared without namespaces")
	}
	mustRun(t, s, "echo data > /tmp/note; cat /etc/hostname; ls /root/workspace/brief.md", "marketing\n/root/workspace/brief.md")
	if _, err := os.Stat(filepath.Join(s.VM.Root(), "tmp", "note")); err != nil {
		t.Error(err)
	}
	// What a session leaves behind ends with the VM.
	mustRun(t, s, "setsid sleep 31415926 >/dev/null 2>&1 & cd /proc; "+
		`until [ "$(grep -l '^sleep' [0-9]*/comm 2>/dev/null | wc -l)" = 2 ]; do :; done`, "")
	s.Stop()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if raw, _ := os.ReadFile(line); bytes.Contains(raw, []byte("31415926")) {
			t.Errorf("left running: %s", line)
		}
	}
}

func TestAgentIsThere(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{})
	if !s.Isolated {
		t.Skip("left out: no /tmp of its own without namespaces")
	}
	if _, err := exec.LookPath("tmux"); err == nil {
		mustRun(t, s, "tmux has-session -t pi-rpc && tmux list-sessions -F '#S'", "pi-rpc")
	}
	mustRun(t, s, `test -p /tmp/pi-rpc/in && echo '{"type":"get_state"}' >/tmp/pi-rpc/in; `+
		`until grep -q isStreaming /tmp/pi-rpc/out; do sleep 0.01; done; tail -n 1 /tmp/pi-rpc/out | grep -o '"success":true\|"isStreaming":true'`,
		"\"success\":true\n\"isStreaming\":true")
	if err := s.VM.DropSessions(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, s, "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c pi-rpc/out", "1")
}

func TestBusyboxOnly(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{Busybox: true, NoSFTP: true})
	mustRun(t, s, "command -v rsync zstd python3; find --help 2>&1 | grep -c BusyBox", "1")
	mustRun(t, s, `echo "shell${BASH_VERSION:+ is bash}"`, "shell")
	if out, err := sftp(t, s); err == nil {
		t.Fatalf("sftp worked without a subsystem: %s", out)
	}
}

func TestSFTP(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{})
	if out, err := sftp(t, s); err != nil || !strings.Contains(out, "Remote working directory: "+s.Home) {
		t.Fatalf("%v\n%s\n%s", err, out, s.Log())
	}
}

func sftp(t *testing.T, s *OpenSSH) (string, error) {
	t.Helper()
	args := []string{}
	for _, a := range sshArgs(t, s) {
		if a == "-l" {
			break
		}
		args = append(args, a)
	}
	cmd := exec.CommandContext(t.Context(), "sftp", append(args, "-b", "-", s.User+"@"+s.ServerName)...)
	cmd.Stdin = strings.NewReader("pwd\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestRotateRestartPause(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{MoreHostKeys: []string{"ecdsa", "rsa"}})
	before, addr := s.HostKey(), s.Addr
	if !strings.HasPrefix(s.HostKeys()[1], "ecdsa-sha2-nistp256 ") || len(s.HostKeys()) != 3 {
		t.Fatalf("host keys %v", s.HostKeys())
	}
	mustRun(t, s, "echo 1", "1")
	if err := s.VM.RotateHostKey(); err != nil {
		t.Fatal(err)
	}
	if s.HostKey() == before || s.Addr != addr {
		t.Errorf("key changed: %v, address %s, before %s", s.HostKey() != before, s.Addr, addr)
	}
	mustRun(t, s, "echo 2", "2")
	if err := s.VM.SetState(sim.StatePaused); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, s, "", "echo 3"); err == nil {
		t.Fatalf("a paused VM answered %q", out)
	}
	if err := errors.Join(s.VM.SetState(sim.StateRunning), s.VM.Restart(), s.VM.RotateKey()); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, s, "", "echo 4"); err == nil {
		t.Fatalf("the old key is still accepted: %q", out)
	}
	if s.ClientKey, _ = s.VM.PrivateKey(); s.Addr != addr {
		t.Error("another address after a restart")
	}
	mustRun(t, s, "echo 5", "5")
}

func TestDropSessions(t *testing.T) {
	s := StartOpenSSH(t, sshd.Options{})
	cmd := exec.CommandContext(t.Context(), "ssh", append(sshArgs(t, s), s.ServerName, "echo up; exec cat")...)
	stdin, _ := cmd.StdinPipe()
	defer stdin.Close()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := stdout.Read(make([]byte, 3)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	s.DropSessions()
	if err := cmd.Wait(); err == nil {
		t.Fatal("the session ended well")
	}
	mustRun(t, s, "echo again", "again")
}
