package sshd

import (
	"context"
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
	"strconv"
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
	private = pem.EncodeToMemory(block)
	public, err = publicOf(private)
	return private, public, err
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

// publicOf is the public half of a private key, as "type base64".
func publicOf(private []byte) (string, error) {
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}

// makeKeys prepares the host keys.
func (s *Server) makeKeys() error {
	s.keys = [][]byte{s.opt.HostKey}
	for _, kind := range s.opt.MoreHostKeys {
		private, _, err := NewKey(kind, "host")
		if err != nil {
			return err
		}
		s.keys = append(s.keys, private)
	}
	return nil
}

// HostKeys returns every public host key as "type base64", in the order of the
// configuration.
func (s *Server) HostKeys() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var public []string
	for _, private := range s.keys {
		line, err := publicOf(private)
		if err != nil {
			return nil, err
		}
		public = append(public, line)
	}
	return public, nil
}

// writeHostKeys writes the files that HostKey lines name.
func (s *Server) writeHostKeys() (paths []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, private := range s.keys {
		path := filepath.Join(s.opt.Dir, "host_key_"+strconv.Itoa(i))
		if err := os.WriteFile(path, private, 0o600); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// SetHostKey replaces the first host key and restarts, as a VM that was
// replaced by another would look.
func (s *Server) SetHostKey(ctx context.Context, private []byte) error {
	s.mu.Lock()
	s.keys[0] = private
	s.mu.Unlock()
	return s.restart(ctx)
}

// SetLogin lets another key log in from now on, instead of the one before.
func (s *Server) SetLogin(public string) error {
	return os.WriteFile(s.authorizedKeys(), []byte(public+"\n"), 0o600)
}

func (s *Server) authorizedKeys() string { return filepath.Join(s.opt.Dir, "authorized_keys") }
