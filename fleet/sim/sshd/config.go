package sshd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	s.User, s.Home, s.HomeDir = account.Username, account.HomeDir, account.HomeDir
	if err := errors.Join(os.MkdirAll(s.opt.Dir, 0o755), makePrivsepDir()); err != nil {
		return err
	}
	if !s.opt.Stock {
		if err := s.prepareHome(ctx); err != nil {
			return err
		}
	}
	return errors.Join(s.makeKeys(), s.SetLogin(s.opt.Login))
}

// makePrivsepDir provides the empty folder that a root sshd insists on; the
// path is compiled into Debian's sshd and made by its init script.
func makePrivsepDir() error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.MkdirAll("/run/sshd", 0o755)
}

func (s *Server) config(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	keys, err := s.writeHostKeys()
	if err != nil {
		return "", err
	}
	lines := slices.Clone(s.opt.Config)
	lines = append(lines,
		"ListenAddress "+host, "Port "+port, "PidFile none", "LogLevel VERBOSE",
		"UsePAM no", "StrictModes no", "PermitRootLogin prohibit-password",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"AuthorizedKeysFile "+s.authorizedKeys(),
		"PrintMotd no", "PrintLastLog no", "UseDNS no", "AcceptEnv LANG LC_*")
	if punishes() {
		lines = append(lines, "PerSourcePenalties no")
	}
	for _, path := range keys {
		lines = append(lines, "HostKey "+path)
	}
	if s.opt.MaxSessions > 0 {
		lines = append(lines, "MaxSessions "+strconv.Itoa(s.opt.MaxSessions))
	}
	return strings.Join(append(lines, s.sessionConfig()...), "\n") + "\n", nil
}

func (s *Server) sessionConfig() []string {
	var lines, env []string
	if !s.opt.NoSFTP {
		lines = append(lines, "Subsystem sftp internal-sftp")
	}
	if s.opt.Busybox {
		env = append(env, "PATH="+s.appletDir())
	}
	if s.wrapped() {
		env = append(env, "HOME="+s.HomeDir)
		lines = append(lines, "ForceCommand "+s.wrapperPath())
	}
	if len(env) > 0 { // one line: sshd takes the first SetEnv only
		lines = append(lines, "SetEnv "+strings.Join(env, " "))
	}
	return lines
}

// punishes tells whether this machine's sshd punishes addresses whose logins
// fail, as OpenSSH does since 9.8; an older one refuses to be told not to.
var punishes = sync.OnceValue(func() bool {
	sshd, err := findProgram("sshd")
	if err != nil {
		return false
	}
	out, _ := exec.Command(sshd, "-V").CombinedOutput() // before 9.2 a usage error, with the version
	_, version, _ := strings.Cut(string(out), "OpenSSH_")
	var major, minor int
	n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return n == 2 && (major > 9 || major == 9 && minor >= 8)
})

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
