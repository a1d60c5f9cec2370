package api

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tlsServer serves an empty fleet with a certificate for names, valid from one
// time to another, and returns the pool that trusts it.
func tlsServer(t *testing.T, from, to time.Time, names ...string) (*httptest.Server, *x509.CertPool, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	if len(names) > 0 {
		c.IPAddresses = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Proto", r.Proto)
		_, _ = io.WriteString(w, "[]")
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return s, pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestCertificates(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	for _, c := range []struct {
		name         string
		from, to     time.Duration
		names        []string
		trusted      bool
		clock        time.Duration // how wrong this machine's clock is
		detail, hint string
		want         Kind
	}{
		{name: "good", from: -day, to: day, trusted: true},
		{name: "unknown authority", from: -day, to: day, want: KindTLS, detail: "authority", hint: "SSL_CERT_FILE"},
		{name: "expired", from: -9 * day, to: -day, trusted: true, want: KindTLS, detail: "expired on", hint: "clock"},
		{name: "not valid yet", from: day, to: 9 * day, trusted: true, want: KindTLS, detail: "valid only from", hint: "clock"},
		{name: "clock years behind", from: -day, to: day, trusted: true, clock: -3650 * day, want: KindTLS, detail: "valid only from", hint: "set this machine's clock"},
		{name: "clock ahead", from: -day, to: day, trusted: true, clock: 40 * day, want: KindTLS, detail: "this machine's clock says", hint: "clock"},
		{name: "wrong name", from: -day, to: day, names: []string{"portal.example"}, trusted: true, want: KindTLS, detail: "portal.example", hint: "portal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, pool, _ := tlsServer(t, now.Add(c.from), now.Add(c.to), c.names...)
			cl, _ := client(t, s.URL, func(cfg *Config, _ *hooks) {
				cfg.RootCAs = pool
				if !c.trusted {
					cfg.RootCAs = x509.NewCertPool()
				}
				cfg.Now = func() time.Time { return time.Now().Add(c.clock) }
			})
			_, err := cl.VMs(t.Context())
			if c.want == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := failure(t, err, c.want)
			if !strings.Contains(e.Detail, c.detail) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got detail %q, hint %q", e.Detail, e.Hint)
			}
			if !e.Kind.Local() || !e.Kind.Unreachable() || e.Sent || !e.Retry.Unsent || e.Retry.Transient {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestCertFile: the system's way to name further authorities. The process
// reads it once, so this test runs in one of its own.
func TestCertFile(t *testing.T) {
	if url := os.Getenv("API_TEST_URL"); url != "" {
		c, _ := client(t, url, nil)
		if _, err := c.VMs(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	s, _, cert := tlsServer(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runSelf(t, "TestCertFile", "API_TEST_URL="+s.URL, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+t.TempDir())
	if err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestHTTP2(t *testing.T) {
	s, pool, _ := tlsServer(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	c, _ := client(t, s.URL, func(cfg *Config, _ *hooks) { cfg.RootCAs = pool })
	resp, err := c.http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("X-Proto"); got != "HTTP/2.0" {
		t.Errorf("got %s", got)
	}
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/vms":
			_, _ = io.WriteString(w, "[")
			w.(http.Flusher).Flush()
		case "/vm/" + vmB + "/status":
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler) // RST_STREAM
	})
	_, err = c.VMs(t.Context())
	if e := failure(t, err, KindTruncated); e.Stage != StageBody {
		t.Errorf("got %+v", e)
	}
	_, err = c.Status(t.Context(), vmA)
	if e := failure(t, err, KindReset); !e.Sent {
		t.Errorf("got %+v", e)
	}
	c, _ = client(t, s.URL, func(cfg *Config, _ *hooks) {
		cfg.RootCAs, cfg.Timeouts = pool, Timeouts{Headers: 50 * time.Millisecond}
	})
	_, err = c.Status(t.Context(), vmB)
	if e := failure(t, err, KindTimeout); e.Stage != StageHeaders {
		t.Errorf("got %+v", e)
	}
}

// TestTLSTroubles: what answers on the port is no TLS server, or a bad one.
func TestTLSTroubles(t *testing.T) {
	plain := answering(t, 200, "", "[]").URL
	c, _ := client(t, strings.Replace(plain, "http:", "https:", 1), nil)
	_, err := c.VMs(t.Context())
	if e := failure(t, err, KindTLS); !strings.Contains(e.Hint, "http://") {
		t.Errorf("got %+v", e)
	}
	garbage := rawServer(t, talkGarbage)
	c, _ = client(t, strings.Replace(garbage, "http:", "https:", 1), nil)
	_, err = c.VMs(t.Context())
	failure(t, err, KindTLS)
	closing := rawServer(t, talkNothing)
	c, _ = client(t, strings.Replace(closing, "http:", "https:", 1), nil)
	_, err = c.VMs(t.Context())
	if e := failure(t, err, KindReset); e.Sent || e.Stage != StageTLS {
		t.Errorf("got %+v", e)
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, "https://api.example", piped(t, Timeouts{}, talkSilence))
		_, err := c.VMs(t.Context())
		if e := failure(t, err, KindTimeout); e.Sent || e.Stage != StageTLS {
			t.Errorf("got %+v", e)
		}
	})
	old, pool, _ := tlsServer(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	old.TLS.MaxVersion = tls.VersionTLS11
	c, _ = client(t, old.URL, func(cfg *Config, _ *hooks) { cfg.RootCAs = pool })
	_, err = c.VMs(t.Context())
	failure(t, err, KindTLS)
}
