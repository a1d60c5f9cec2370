package sshdtest

import (
	"context"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"
)

// Server is one running sshd, seen as one VM. Its fields do not change while
// it runs; methods may be called from several goroutines.
type Server struct {
	// Addr is sshd's plain TCP address, host:port on loopback.
	Addr string
	// TLSAddr is the gateway's address; ServerName is the SNI to send there.
	TLSAddr, ServerName string
	// VMID is a lower-case UUID, Name a readable name.
	VMID, Name string
	// User is the account to log in as.
	User string
	// Home is the home folder as sessions see it; HomeDir is the same folder
	// as the test process sees it.
	Home, HomeDir string
	// Isolated tells that /root and /tmp are the server's own. TmpDir is then
	// the host folder that sessions see as /tmp; otherwise it is empty.
	Isolated bool
	TmpDir   string
	// ClientKey is the OpenSSH PEM of the key that may log in; ClientKeyFile
	// holds the same, mode 0600, for ssh -i.
	ClientKey     []byte
	ClientKeyFile string
	// CAPool and CAFile hold the authority that signed the gateway's certificate.
	CAPool *x509.CertPool
	CAFile string
	// Gateway is the TLS front of this server.
	Gateway *Gateway

	dir        string
	opt        Options
	ownDir     bool
	ownGateway bool
	stopped    sync.Once
	mu         sync.Mutex // guards proc and hostKeys
	proc       *process
	hostKeys   []string
}

// Launch starts a server. It runs until Stop or until ctx ends. It returns
// ErrMissing, ErrNoBusybox or ErrNoSFTPServer when the machine lacks a part.
func Launch(ctx context.Context, o Options) (*Server, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, err
	}
	if err := s.setUp(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	context.AfterFunc(ctx, s.Stop)
	return s, nil
}

func newServer(o Options) (*Server, error) {
	s := &Server{opt: o, VMID: o.VMID, Name: o.Name, dir: o.Dir, Gateway: o.Gateway}
	if s.VMID == "" {
		s.VMID = uuid.NewString()
	}
	if s.Name == "" {
		s.Name = "vm-" + s.VMID[:8]
	}
	s.ServerName = s.VMID + "." + Domain
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "sshdtest-")
		if err != nil {
			return nil, err
		}
		s.dir, s.ownDir = dir, true
	}
	return s, nil
}

func (s *Server) setUp(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.start(ctx, ""); err != nil {
		return err
	}
	if s.Gateway == nil {
		gateway, err := NewGateway(ctx, filepath.Join(s.dir, "gateway"))
		if err != nil {
			return err
		}
		s.Gateway, s.ownGateway = gateway, true
	}
	s.Gateway.Route(s.ServerName, s.Addr)
	s.TLSAddr, s.CAPool, s.CAFile = s.Gateway.Addr, s.Gateway.CAPool, s.Gateway.CAFile
	return nil
}

// start runs sshd on addr, or on a free port when addr is empty. A port that
// somebody else took in between is answered by trying the next one.
func (s *Server) start(ctx context.Context, addr string) error {
	fixed := addr != ""
	var last error
	for range 10 {
		if !fixed {
			var err error
			if addr, err = freeAddr(ctx); err != nil {
				return err
			}
		}
		proc, err := s.runSSHD(ctx, addr)
		if err == nil {
			s.mu.Lock()
			s.proc, s.Addr = proc, addr
			s.mu.Unlock()
			return nil
		}
		if last = err; ctx.Err() != nil {
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
