package sshdtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prepareHome makes the folder that sessions see as home and, where the
// machine allows it, chooses to isolate the server in a mount namespace.
func (s *Server) prepareHome(ctx context.Context) error {
	s.HomeDir = s.opt.Home
	if s.HomeDir == "" {
		s.HomeDir = filepath.Join(s.dir, "home")
	}
	var err error
	if s.HomeDir, err = filepath.Abs(s.HomeDir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.HomeDir, 0o700); err != nil {
		return err
	}
	if s.opt.ForceBusybox {
		if err := s.makeApplets(ctx); err != nil {
			return err
		}
	}
	if canIsolate(ctx) {
		s.Isolated, s.TmpDir = true, filepath.Join(s.dir, "tmp")
		return os.MkdirAll(s.TmpDir, 0o777)
	}
	if s.opt.LogTo != nil {
		fmt.Fprintln(s.opt.LogTo, "sshdtest: no mount namespaces here; sessions share /tmp with this machine")
	}
	s.Home = s.HomeDir
	return s.writeWrapper()
}

// wrapped tells that a forced command, not a mount, moves sessions to HomeDir.
func (s *Server) wrapped() bool { return !s.opt.Stock && !s.Isolated }

func (s *Server) wrapperPath() string { return filepath.Join(s.dir, "session") }

// writeWrapper writes the forced command. sshd runs it for subsystems too and
// then names the subsystem's command in SSH_ORIGINAL_COMMAND.
func (s *Server) writeWrapper() error {
	sftp, err := sftpServer()
	if err != nil && s.opt.SFTP != SFTPNone {
		return err
	}
	shell := `"${SHELL:-/bin/sh}"`
	if s.opt.ForceBusybox {
		shell = filepath.Join(s.appletDir(), "sh")
	}
	text := "#!/bin/sh\ncd " + quote(s.HomeDir) + ` || exit 1
case "$SSH_ORIGINAL_COMMAND" in
'') exec ` + shell + ` -l ;;
internal-sftp* | ` + quote(sftp) + `) exec ` + quote(sftp) + ` ;;
*) exec ` + shell + ` -c "$SSH_ORIGINAL_COMMAND" ;;
esac
`
	return os.WriteFile(s.wrapperPath(), []byte(text), 0o755)
}

func (s *Server) appletDir() string { return filepath.Join(s.dir, "applets") }

// makeApplets fills a folder with links to busybox, one per applet.
func (s *Server) makeApplets(ctx context.Context) error {
	busybox, err := findProgram("busybox")
	if err != nil {
		return ErrNoBusybox
	}
	list, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("busybox --list: %w", err)
	}
	if err := os.MkdirAll(s.appletDir(), 0o755); err != nil {
		return err
	}
	for _, applet := range strings.Fields(string(list)) {
		err := os.Symlink(busybox, filepath.Join(s.appletDir(), applet))
		if err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// mountScript is run in a fresh mount namespace: it gives the server a /tmp
// and a home of its own, keeps its folder visible under the old path even if
// that lies below /tmp, and becomes sshd ("$@").
func (s *Server) mountScript() (string, error) {
	accounts, err := s.accountFiles()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("set -e\n")
	if below(s.dir, "/tmp") {
		keep := s.TmpDir + strings.TrimPrefix(s.dir, "/tmp")
		fmt.Fprintf(&b, "mkdir -p %s\nmount --bind %s %s\n", quote(keep), quote(s.dir), quote(keep))
	}
	if below(s.HomeDir, "/tmp") && !below(s.HomeDir, s.dir) {
		keep := s.TmpDir + strings.TrimPrefix(s.HomeDir, "/tmp")
		fmt.Fprintf(&b, "mkdir -p %s\nmount --bind %s %s\n", quote(keep), quote(s.HomeDir), quote(keep))
	}
	for path, file := range accounts {
		fmt.Fprintf(&b, "mount --bind %s %s\n", quote(file), quote(path))
	}
	fmt.Fprintf(&b, "mount --bind %s %s\n", quote(s.HomeDir), quote(s.Home))
	fmt.Fprintf(&b, "mount --rbind %s /tmp\n", quote(s.TmpDir))
	b.WriteString(`exec "$@"` + "\n")
	return b.String(), nil
}

func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
