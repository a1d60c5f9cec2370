package sim

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
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
	key := s.derive("api key")
	s.apiKey = s.owner + hex.EncodeToString(key[:])
	ca, err := newAuthority(vmDomain, time.Now())
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

// authority is the CA of the gateway's certificates, the good one and those
// of the certificate faults.
type authority struct {
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	good      *tls.Certificate // *.<vm domain>
	api       *tls.Certificate // loopback addresses
	wrongName *tls.Certificate
	expired   *tls.Certificate
	untrusted *tls.Certificate
}

func newAuthority(domain string, now time.Time) (*authority, error) {
	a, err := newRoot("vers-fleet simulator CA", now)
	if err != nil {
		return nil, err
	}
	stranger, err := newRoot("somebody else's CA", now)
	if err != nil {
		return nil, err
	}
	wildcard := "*." + domain
	year := now.AddDate(1, 0, 0)
	for _, leaf := range []struct {
		into   **tls.Certificate
		issuer *authority
		name   string
		until  time.Time
	}{
		{&a.good, a, wildcard, year},
		{&a.api, a, "localhost", year},
		{&a.wrongName, a, "*.vm.example.org", year},
		{&a.expired, a, wildcard, now.Add(-time.Hour)},
		{&a.untrusted, stranger, wildcard, year},
	} {
		if *leaf.into, err = leaf.issuer.issue(leaf.name, leaf.until); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func newRoot(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.AddDate(2, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key}, err
}

// issue signs a server certificate for name.
func (a *authority) issue(name string, until time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: until.AddDate(-1, 0, -1), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "localhost" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (a *authority) writeFile(path string) error {
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	return os.WriteFile(path, data, 0o600)
}

// apiTLS is the TLS configuration of the REST API, nil for plain http.
func (s *Sim) apiTLS() *tls.Config {
	if !s.cfg.APITLS {
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{*s.ca.api}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}
