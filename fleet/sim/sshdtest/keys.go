package sshdtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// NewKey makes a key pair of type ed25519, ecdsa or rsa: the private half as
// OpenSSH PEM, the public half as "type base64".
func NewKey(kind, comment string) (private []byte, public string, err error) {
	key, err := generate(kind)
	if err != nil {
		return nil, "", err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, "", err
	}
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, "", err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	return pem.EncodeToMemory(block), line, nil
}

func generate(kind string) (crypto.Signer, error) {
	switch kind {
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("unknown key type %q", kind)
}

func (s *Server) hostKeyTypes() []string {
	if len(s.opt.HostKeys) == 0 {
		return []string{"ed25519"}
	}
	return s.opt.HostKeys
}

func (s *Server) hostKeyPath(kind string) string { return filepath.Join(s.dir, "host_"+kind) }

func (s *Server) makeHostKeys() error {
	var public []string
	for _, kind := range s.hostKeyTypes() {
		private, line, err := NewKey(kind, "host")
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.hostKeyPath(kind), private, 0o600); err != nil {
			return err
		}
		public = append(public, line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hostKeys = public
	return nil
}

func (s *Server) makeClientKey() error {
	private, line, err := NewKey("ed25519", s.Name)
	if err != nil {
		return err
	}
	s.ClientKey, s.ClientKeyFile = private, filepath.Join(s.dir, "client_key")
	if err := os.WriteFile(s.ClientKeyFile, private, 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.authorizedKeys(), []byte(line+"\n"), 0o600)
}

func (s *Server) authorizedKeys() string { return filepath.Join(s.dir, "authorized_keys") }
