package sshconn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

// Both sets of authorities are asked all that crypto/tls would ask one: the
// chain through intermediates, the name, the dates.
func TestVerifyEither(t *testing.T) {
	var parent *x509.Certificate
	var parentKey *ecdsa.PrivateKey
	issue := func(name string, ca bool, until time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour),
			NotAfter: time.Now().Add(until), IsCA: ca, BasicConstraintsValid: true}
		by, byKey := parent, parentKey
		if !ca {
			c.DNSNames = []string{name}
		}
		if by == nil {
			by, byKey = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		return c, key
	}
	parent, parentKey = issue("root", true, time.Hour)
	ours, none := x509.NewCertPool(), x509.NewCertPool()
	ours.AddCert(parent)
	parent, parentKey = issue("between", true, time.Hour)
	good, _ := issue("vm.example", false, time.Hour)
	old, _ := issue("vm.example", false, -time.Hour)
	for _, pools := range [][2]*x509.CertPool{{ours, none}, {none, ours}} {
		verify := func(name string, chain ...*x509.Certificate) error {
			return verifyEither(tls.ConnectionState{PeerCertificates: chain}, name, pools[0], pools[1])
		}
		if err := verify("vm.example", good, parent); err != nil {
			t.Error(err)
		}
		var authority x509.UnknownAuthorityError
		if err := verify("vm.example", good); !errors.As(err, &authority) {
			t.Error("without its intermediate:", err)
		}
		var wrong x509.HostnameError
		if err := verify("other.example", good, parent); !errors.As(err, &wrong) {
			t.Error("another name:", err)
		}
		var invalid x509.CertificateInvalidError
		if err := verify("vm.example", old, parent); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
			t.Error("expired:", err)
		}
	}
}
