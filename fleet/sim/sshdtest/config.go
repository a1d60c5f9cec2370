package sshdtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// prepare writes everything sshd needs except its configuration, which names
// the port.
func (s *Server) prepare(ctx context.Context) error {
	if _, err := findProgram("sshd"); err != nil {
		return ErrMissing
	}
	account, err := user.Current()
	if err != nil {
		return err
	}
	s.User, s.Home = account.Username, account.HomeDir
	s.HomeDir = s.Home
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := makePrivsepDir(); err != nil {
		return err
	}
	if !s.opt.Stock {
		if err := s.prepareHome(ctx); err != nil {
			return err
		}
	}
	if err := s.makeHostKeys(); err != nil {
		return err
	}
	return s.makeClientKey()
}

// makePrivsepDir provides the empty folder that a root sshd insists on; the
// path is compiled into Debian's sshd and made by its init script.
func makePrivsepDir() error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.MkdirAll("/run/sshd", 0o755)
}

func (s *Server) config(addr string, modern bool) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	level := s.opt.LogLevel
	if level == "" {
		level = "VERBOSE"
	}
	lines := append([]string(nil), s.opt.ExtraConfig...)
	lines = append(lines,
		"ListenAddress "+host, "Port "+port, "PidFile none", "LogLevel "+level,
		"UsePAM no", "StrictModes no", "PermitRootLogin prohibit-password",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"AuthorizedKeysFile "+s.authorizedKeys(),
		"PrintMotd no", "PrintLastLog no", "UseDNS no", "AcceptEnv LANG LC_*")
	if modern { // OpenSSH 9.8 and later punish addresses whose logins fail
		lines = append(lines, "PerSourcePenalties no")
	}
	for _, kind := range s.hostKeyTypes() {
		lines = append(lines, "HostKey "+s.hostKeyPath(kind))
	}
	if s.opt.MaxStartups != "" {
		lines = append(lines, "MaxStartups "+s.opt.MaxStartups)
	}
	if s.opt.MaxSessions > 0 {
		lines = append(lines, "MaxSessions "+strconv.Itoa(s.opt.MaxSessions))
	}
	session, err := s.sessionConfig()
	if err != nil {
		return "", err
	}
	return strings.Join(append(lines, session...), "\n") + "\n", nil
}

func (s *Server) sessionConfig() ([]string, error) {
	var lines []string
	switch s.opt.SFTP {
	case SFTPInternal:
		lines = append(lines, "Subsystem sftp internal-sftp")
	case SFTPExternal:
		path, err := sftpServer()
		if err != nil {
			return nil, err
		}
		lines = append(lines, "Subsystem sftp "+path)
	case SFTPNone:
	}
	var env []string
	if s.opt.ForceBusybox {
		env = append(env, "PATH="+s.appletDir())
	}
	if s.wrapped() {
		env = append(env, "HOME="+s.HomeDir)
		lines = append(lines, "ForceCommand "+s.wrapperPath())
	}
	if len(env) > 0 { // one line: sshd takes the first SetEnv only
		lines = append(lines, "SetEnv "+strings.Join(env, " "))
	}
	return lines, nil
}

// writeConfig writes sshd_config, leaving out what this sshd does not know.
func (s *Server) writeConfig(ctx context.Context, sshd, addr string) (string, error) {
	path := filepath.Join(s.dir, "sshd_config")
	var report []byte
	for _, modern := range []bool{true, false} {
		text, err := s.config(addr, modern)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
		if report, err = exec.CommandContext(ctx, sshd, "-t", "-f", path).CombinedOutput(); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("sshd refuses its configuration: %s", strings.TrimSpace(string(report)))
}

// findProgram looks in PATH and in the folders that a normal user's PATH
// lacks. sshd must be started by its absolute path.
func findProgram(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if !filepath.IsAbs(path) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func sftpServer() (string, error) {
	for _, path := range []string{
		"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
		"/usr/lib/ssh/sftp-server", "/usr/libexec/sftp-server",
	} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", ErrNoSFTPServer
}
