package sim

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"
)

// keyPair is a VM's login key.
type keyPair struct {
	pem    []byte // OpenSSH format, never logged
	public ssh.PublicKey
}

// String keeps the private half out of logs.
func (k *keyPair) String() string { return "key " + ssh.FingerprintSHA256(k.public) }

// makeIdentity draws the secret of which all ids and keys are made, and the
// API key.
func (s *Sim) makeIdentity() error {
	if s.cfg.Seed != 0 {
		var seed [8]byte
		binary.BigEndian.PutUint64(seed[:], uint64(s.cfg.Seed))
		s.secret = sha256.Sum256(seed[:])
	} else if _, err := io.ReadFull(rand.Reader, s.secret[:]); err != nil {
		return err
	}
	token := s.derive("control")
	s.token = hex.EncodeToString(token[:16])
	s.owner = s.uuid("owner")
	if s.cfg.APIKey == "" {
		key := s.derive("api key")
		s.cfg.APIKey = s.owner + hex.EncodeToString(key[:])
	} else if id, err := uuid.Parse(firstN(s.cfg.APIKey, 36)); err == nil {
		s.owner = id.String()
	}
	ca, err := newAuthority(s.cfg.VMDomain, time.Now())
	if err != nil {
		return err
	}
	s.ca = ca
	return ca.writeFile(s.CAFile())
}

func firstN(text string, n int) string { return text[:min(n, len(text))] }

// derive makes 32 bytes that belong to a purpose.
func (s *Sim) derive(purpose string) [32]byte {
	mac := hmac.New(sha256.New, s.secret[:])
	mac.Write([]byte(purpose))
	return [32]byte(mac.Sum(nil))
}

// uuid makes a random-looking (version 4) UUID that belongs to a purpose.
func (s *Sim) uuid(purpose string) string {
	raw := s.derive("uuid " + purpose)
	id := uuid.UUID(raw[:16])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

func (s *Sim) ed25519(purpose string) ed25519.PrivateKey {
	seed := s.derive("ed25519 " + purpose)
	return ed25519.NewKeyFromSeed(seed[:])
}

// keyPair returns the VM's login key, made on first use.
func (vm *VM) keyPair() (*keyPair, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.key != nil {
		return vm.key, nil
	}
	private := vm.sim.ed25519("login " + vm.id + " " + strconv.Itoa(vm.keyGen))
	block, err := ssh.MarshalPrivateKey(private, "root@"+firstN(vm.id, 12))
	if err != nil {
		return nil, fmt.Errorf("sim: key of %s: %w", vm.id, err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return nil, fmt.Errorf("sim: key of %s: %w", vm.id, err)
	}
	vm.key = &keyPair{pem: pem.EncodeToMemory(block), public: public}
	return vm.key, nil
}

// HostKey returns the VM's host key in authorized_keys form. VMs of one image
// share it, until RotateHostKey gives a VM its own.
func (vm *VM) HostKey() (string, error) {
	private := vm.hostKey()
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))), nil
}

func (vm *VM) hostKey() ed25519.PrivateKey {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	purpose := "host image " + vm.image
	if vm.hostGen > 0 {
		purpose = "host vm " + vm.id + " " + strconv.Itoa(vm.hostGen)
	}
	return vm.sim.ed25519(purpose)
}

// hostKeyPEM is the private host key in OpenSSH format.
func (vm *VM) hostKeyPEM() ([]byte, error) {
	block, err := ssh.MarshalPrivateKey(vm.hostKey(), "host")
	if err != nil {
		return nil, fmt.Errorf("sim: host key of %s: %w", vm.id, err)
	}
	return pem.EncodeToMemory(block), nil
}

// line is the public key in authorized_keys form, with a newline.
func (k *keyPair) line() string { return string(ssh.MarshalAuthorizedKey(k.public)) }
