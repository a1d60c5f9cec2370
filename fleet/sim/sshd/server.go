package sshd

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// What a machine can lack.
var (
	// ErrMissing says that there is no OpenSSH server to start.
	ErrMissing = errors.New("no OpenSSH sshd found (Debian: apt-get install openssh-server)")
	// ErrNoBusybox says that Options.Busybox was asked for and busybox is missing.
	ErrNoBusybox = errors.New("no busybox found (Debian: apt-get install busybox)")
	// ErrNoSFTPServer says that the stand-alone sftp-server program is missing,
	// which is needed where servers cannot be isolated.
	ErrNoSFTPServer = errors.New("no sftp-server program found (Debian: apt-get install openssh-sftp-server)")
	// ErrNotLinux says that only Linux can give a server a home of its own.
	ErrNotLinux = errors.New("a VM that is a real sshd needs Linux")
	// ErrNotRoot says that this process may not make namespaces.
	ErrNotRoot = errors.New("a VM that is a real sshd needs root, with the right to make mount and process namespaces")
)

// Options describes one server.
type Options struct {
	// Dir keeps the server's own files. It must not be /tmp itself.
	Dir string
	// Home and Tmp are the folders that sessions see as their home and, where
	// the server is isolated, as /tmp; "" means folders in Dir.
	Home, Tmp string
	// Hostname is the machine's name, and HostnameFile the file that sessions
	// see as /etc/hostname, where the server is isolated.
	Hostname, HostnameFile string
	// Login is the public key that may log in, in authorized_keys form.
	Login string
	// HostKey is the private host key in OpenSSH PEM; MoreHostKeys are types
	// (ecdsa, rsa) of further ones, which are made here.
	HostKey      []byte
	MoreHostKeys []string
	// Agent is a shell line that runs beside sshd while it is up, where the
	// server is isolated.
	Agent string

	// Shared allows a server that cannot be isolated: sessions share /tmp and
	// all processes with this machine, and log in as the current user.
	Shared bool
	// Stock starts sessions in the account's real home, with nothing isolated
	// or forced: for measurements.
	Stock bool
	// NoSFTP offers no sftp subsystem, as minimal images do.
	NoSFTP bool
	// Busybox leaves sessions only busybox applets in PATH.
	Busybox bool
	// Shell is the account's login shell, where the server is isolated; "" leaves
	// the machine's own.
	Shell string
	// MaxSessions limits channels per connection; 0 is sshd's default, 10.
	MaxSessions int
	// Config lines are put first into sshd_config, where they win.
	Config []string
}

// Server is one running sshd. Its fields do not change while it runs; methods
// may be called from several goroutines.
type Server struct {
	// Addr is sshd's plain TCP address, host:port on loopback.
	Addr string
	// User is the account to log in as.
	User string
	// Home is the home folder as sessions see it; HomeDir is the same folder
	// as this process sees it.
	Home, HomeDir string
	// Isolated tells that /root, /tmp and all processes are the server's own.
	Isolated bool

	opt     Options
	tmpDir  string
	stopped sync.Once
	mu      sync.Mutex // guards what follows
	proc    *process
	keys    [][]byte        // private host keys
	sources map[string]bool // local ports of the connections that Dial made, ever
}

// Check tells whether this machine can run such servers: nil, or one of the
// errors above.
func Check(ctx context.Context, o Options) error {
	open := o.Shared || o.Stock
	if runtime.GOOS != "linux" && !open {
		return ErrNotLinux
	}
	if _, err := findProgram("sshd"); err != nil {
		return ErrMissing
	}
	if !open && !canIsolate(ctx) {
		return ErrNotRoot
	}
	return nil
}

// Launch starts a server on a machine that Check finds fit. It runs until Stop
// or until ctx ends.
func Launch(ctx context.Context, o Options) (*Server, error) {
	s := &Server{opt: o, tmpDir: o.Tmp, sources: map[string]bool{}}
	if s.tmpDir == "" {
		s.tmpDir = filepath.Join(o.Dir, "tmp")
	}
	err := s.prepare(ctx)
	if err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	context.AfterFunc(ctx, s.Stop)
	return s, nil
}

// start runs sshd on its address, or on a free port when it has none. A port
// that somebody else took in between is answered by trying the next one.
func (s *Server) start(ctx context.Context) error {
	var last error
	for range 10 {
		addr := s.Addr
		if addr == "" {
			var err error
			if addr, err = freeAddr(ctx); err != nil {
				return err
			}
		}
		proc, err := s.runSSHD(ctx, addr)
		if err == nil {
			s.mu.Lock()
			s.proc = proc
			s.mu.Unlock()
			if s.Addr == "" {
				s.Addr = addr
			}
			return nil
		}
		if last = err; ctx.Err() != nil || errors.Is(err, exec.ErrNotFound) {
			break
		}
	}
	return last
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Stop ends sshd and every session. Calling it again does nothing.
func (s *Server) Stop() { s.stopped.Do(s.halt) }

func (s *Server) halt() {
	s.mu.Lock()
	proc := s.proc
	s.proc = nil
	s.mu.Unlock()
	if proc != nil {
		proc.stop()
	}
}

// restart ends sshd and its sessions and starts it again on the same address.
func (s *Server) restart(ctx context.Context) error {
	s.halt()
	return s.start(ctx)
}

// DropSessions kills every session as a crashing VM would, but leaves sshd and
// the agent running.
func (s *Server) DropSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		killAll(sessions(s.proc.pid))
	}
}

// Dial opens a connection to sshd in a gateway's stead: its login is no direct one.
func (s *Server) Dial(ctx context.Context) (*net.TCPConn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(c.LocalAddr().String())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources[port] = true
	return c.(*net.TCPConn), err
}

// dialled tells whether a connection came from Dial, by its local port.
func (s *Server) dialled(port string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources[port]
}
