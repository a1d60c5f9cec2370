package sshd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
)

// prepareHome makes the folder that sessions see as home and, where the
// machine allows it, chooses to isolate the server in a mount namespace.
func (s *Server) prepareHome(ctx context.Context) error {
	s.HomeDir = s.opt.Home
	if s.HomeDir == "" {
		s.HomeDir = filepath.Join(s.opt.Dir, "home")
	}
	var err error
	if s.HomeDir, err = filepath.Abs(s.HomeDir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.HomeDir, 0o700); err != nil {
		return err
	}
	if s.opt.Busybox {
		if err := s.makeApplets(ctx); err != nil {
			return err
		}
	}
	if s.Isolated = !s.opt.Shared || canIsolate(ctx); s.Isolated {
		return os.MkdirAll(s.tmpDir, 0o777)
	}
	s.Home = s.HomeDir
	return s.writeWrapper()
}

// wrapped tells that a forced command, not a mount, moves sessions to HomeDir.
func (s *Server) wrapped() bool { return !s.opt.Stock && !s.Isolated }

func (s *Server) wrapperPath() string { return filepath.Join(s.opt.Dir, "session") }

// writeWrapper writes the forced command. sshd runs it for subsystems too and
// then names the subsystem's command in SSH_ORIGINAL_COMMAND.
func (s *Server) writeWrapper() error {
	sftp, err := sftpServer()
	if err != nil && !s.opt.NoSFTP {
		return err
	}
	shell := `"${SHELL:-/bin/sh}"`
	if s.opt.Busybox {
		shell = filepath.Join(s.appletDir(), "sh")
	}
	text := "#!/bin/sh\ncd " + quote(s.HomeDir) + ` || exit 1
case "$SSH_ORIGINAL_COMMAND" in
'') exec ` + shell + ` -l ;;
internal-sftp* | ` + quote(sftp) + `) exec ` + quote(sftp) + ` ;;
*) exec ` + shell + ` -c "$SSH_ORIGINAL_COMMAND" ;;
esac
`
	return executable.Write(s.wrapperPath(), strings.NewReader(text))
}

func (s *Server) appletDir() string { return filepath.Join(s.opt.Dir, "applets") }

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

// enterScript is run in fresh namespaces: it gives the server /proc, /tmp, a
// home and a name of its own, keeps its folder visible under the old path even
// if that lies below /tmp, starts the agent and becomes sshd ("$@").
func (s *Server) enterScript() (string, error) {
	accounts, err := s.accountFiles()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("set -e\nmount -t proc proc /proc\n")
	bind := func(from, to string) { fmt.Fprintf(&b, "mount --bind %s %s\n", quote(from), quote(to)) }
	if rest, found := strings.CutPrefix(s.opt.Dir, "/tmp/"); found {
		keep := filepath.Join(s.tmpDir, rest)
		fmt.Fprintf(&b, "mkdir -p %s\n", quote(keep))
		bind(s.opt.Dir, keep)
	}
	for path, file := range accounts {
		bind(file, path)
	}
	if s.opt.HostnameFile != "" {
		b.WriteString("[ ! -e /etc/hostname ] || ")
		bind(s.opt.HostnameFile, "/etc/hostname")
	}
	bind(s.HomeDir, s.Home)
	fmt.Fprintf(&b, "mount --rbind %s /tmp\n", quote(s.tmpDir))
	if s.opt.Hostname != "" {
		fmt.Fprintf(&b, "echo %s >/proc/sys/kernel/hostname || true\n", quote(s.opt.Hostname))
	}
	if s.opt.Agent != "" {
		fmt.Fprintf(&b, "(export HOME=%s; cd; %s) </dev/null >/dev/null 2>&1 &\n", quote(s.Home), s.opt.Agent)
	}
	b.WriteString(`exec "$@"` + "\n")
	return b.String(), nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
