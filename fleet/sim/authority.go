package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

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
