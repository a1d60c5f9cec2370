package sshdtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sshArgs makes OpenSSH reach the server as people reach a Vers VM without
// our program: through openssl s_client.
func sshArgs(t *testing.T, s *Server) []string {
	t.Helper()
	for _, tool := range []string{"ssh", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			Missing(t, fmt.Errorf("%w: no %s to test it with", ErrMissing, tool))
		}
	}
	proxy := fmt.Sprintf("openssl s_client -quiet -verify_quiet -verify_return_error -CAfile %s -servername %s -connect %s",
		s.CAFile, s.ServerName, s.TLSAddr)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(s.ServerName+" "+s.HostKey()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-F", "none", "-o", "ProxyCommand=" + proxy, "-o", "IdentitiesOnly=yes", "-i", s.ClientKeyFile,
		"-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
		"-o", "LogLevel=ERROR", "-l", s.User,
	}
}

func run(t *testing.T, s *Server, stdin, command string) (string, error) {
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

func mustRun(t *testing.T, s *Server, command, want string) {
	t.Helper()
	if got, err := run(t, s, "", command); err != nil || got != want {
		t.Fatalf("%s: got %q, %v; want %q\nlog:\n%s", command, got, err, want, s.Log())
	}
}

func TestCommandThroughTLS(t *testing.T) {
	s := Start(t, Options{})
	mustRun(t, s, "echo hello; pwd", "hello\n"+s.Home)
	got, err := run(t, s, strings.Repeat("x", 3<<20), "wc -c; exit 7")
	if exit := new(exec.ExitError); got != "3145728" || !asExit(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("got %q, %v", got, err)
	}
	if s.Logins() != 2 {
		t.Errorf("%d logins counted, want 2", s.Logins())
	}
}

func TestDirectLoginsAreTold(t *testing.T) {
	s := Start(t, Options{})
	mustRun(t, s, "echo 1", "1")
	if s.DirectLogins() != 0 {
		t.Errorf("%d direct logins before there was one", s.DirectLogins())
	}
	host, port, _ := strings.Cut(s.Addr, ":")
	// OpenSSH takes the first value of an option: this one before sshArgs' own.
	args := append([]string{"-o", "ProxyCommand=none", "-o", "HostKeyAlias=" + s.ServerName}, sshArgs(t, s)...)
	cmd := exec.CommandContext(t.Context(), "ssh", append(args, "-p", port, host, "true")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s.Logins() != 2 || s.DirectLogins() != 1 {
		t.Errorf("%d logins, %d direct; want 2 and 1", s.Logins(), s.DirectLogins())
	}
}

func TestHomeAndTmpBelongToServer(t *testing.T) {
	s := Start(t, Options{})
	mustRun(t, s, "echo data > ~/note; cat ~/note", "data")
	raw, err := os.ReadFile(s.HostPath(s.Home + "/note"))
	if err != nil || string(raw) != "data\n" {
		t.Fatalf("seen from outside: %q, %v", raw, err)
	}
	if !s.Isolated {
		t.Skip("left out: /tmp is shared without mount namespaces")
	}
	mustRun(t, s, "mkdir /tmp/pi-rpc && echo /tmp/pi-rpc", "/tmp/pi-rpc")
	if _, err := os.Stat(s.HostPath("/tmp/pi-rpc")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(s.HomeDir, "pi-rpc")); err == nil {
		t.Error("the session's /tmp reached the home")
	}
}

func TestBusyboxOnly(t *testing.T) {
	s := Start(t, Options{ForceBusybox: true, SFTP: SFTPNone})
	mustRun(t, s, "command -v rsync zstd python3; find --help 2>&1 | grep -c BusyBox", "1")
	mustRun(t, s, `echo "shell${BASH_VERSION:+ is bash}"`, "shell")
	if out, err := sftp(t, s); err == nil {
		t.Fatalf("sftp worked without a subsystem: %s", out)
	}
}

func TestSFTPKinds(t *testing.T) {
	for name, kind := range map[string]SFTP{"internal": SFTPInternal, "external": SFTPExternal} {
		t.Run(name, func(t *testing.T) {
			s := Start(t, Options{SFTP: kind})
			if out, err := sftp(t, s); err != nil || !strings.Contains(out, "Remote working directory: "+s.Home) {
				t.Fatalf("%v\n%s\n%s", err, out, s.Log())
			}
		})
	}
}

func sftp(t *testing.T, s *Server) (string, error) {
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
	s := Start(t, Options{HostKeys: []string{"ecdsa", "rsa"}})
	before, addr := s.HostKey(), s.Addr
	if !strings.HasPrefix(before, "ecdsa-sha2-nistp256 ") || len(s.HostKeys()) != 2 {
		t.Fatalf("host keys %v", s.HostKeys())
	}
	mustRun(t, s, "echo 1", "1")
	if err := s.RotateHostKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.HostKey() == before || s.Addr != addr {
		t.Errorf("key changed: %v, address %s, before %s", s.HostKey() != before, s.Addr, addr)
	}
	mustRun(t, s, "echo 2", "2")
	s.Pause()
	if out, err := run(t, s, "", "echo 3"); err == nil {
		t.Fatalf("a paused VM answered %q", out)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustRun(t, s, "echo 4", "4")
}

func TestDropSessions(t *testing.T) {
	s := Start(t, Options{})
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
