package fleet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
)

// closedPort is an address where nothing listens.
func closedPort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil { // no IPv6 here: then the address is dead all the same
		return net.JoinHostPort(host, "9")
	}
	defer l.Close()
	return l.Addr().String()
}

// badCert says what is wrong with a certificate.
type badCert struct {
	expired, untrusted bool
	name               string
}

// tlsAPI serves an empty fleet under a certificate that must not be accepted.
func tlsAPI(t *testing.T, w *fleettest.World, bad badCert) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	if bad.expired {
		c.NotAfter = time.Now().Add(-time.Hour)
	}
	if bad.name != "" {
		c.IPAddresses, c.DNSNames = nil, []string{bad.name}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	w.Options.API.RootCAs = x509.NewCertPool()
	if leaf, err := x509.ParseCertificate(der); err == nil && !bad.untrusted {
		w.Options.API.RootCAs.AddCert(leaf)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a request was sent to a server with a bad certificate")
		_, _ = io.WriteString(w, "[]")
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// useTestNames makes names below .test known to this process, by what they
// are called, and all others unknown: no test asks a real name server.
func useTestNames() error {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(buf[:n]) != nil || len(q.Questions) == 0 {
				continue
			}
			if m := nameAnswer(q); m != nil {
				if out, err := m.Pack(); err == nil {
					_, _ = pc.WriteTo(out, from)
				}
			}
		}
	}()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	return nil
}

// nameAnswer is nil where the name server is to be silent.
func nameAnswer(q dnsmessage.Message) *dnsmessage.Message {
	question := q.Questions[0]
	m := &dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true}, Questions: q.Questions[:1]}
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
	switch name := question.Name.String(); {
	case strings.HasSuffix(name, ".silent.test."):
		return nil
	case strings.HasSuffix(name, ".servfail.test."):
		m.RCode = dnsmessage.RCodeServerFailure
	case strings.HasSuffix(name, ".dual.test.") && question.Type == dnsmessage.TypeA:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
	case strings.HasSuffix(name, ".dual.test.") && question.Type == dnsmessage.TypeAAAA: // for documentation: nobody has it
		dead := netip.MustParseAddr("2001:db8::1").As16()
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: dead}})
	case strings.HasSuffix(name, ".dual.test."):
	default:
		m.RCode = dnsmessage.RCodeNameError
	}
	return m
}
