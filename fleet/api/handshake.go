package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"
)

// handshake recognises the errors of TLS. A machine whose clock is wrong sees
// certificates that are expired or not valid yet, so those name the clock.
func (a *attempt) handshake(err error) (finding, bool) {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return finding{KindTLS, "the server does not speak TLS", "the API URL may have to begin with http://"}, true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return finding{KindTLS, "the server does not speak TLS", ""}, true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return finding{KindTLS, "the server refused the handshake", ""}, true
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return a.invalidCertificate(bad), true
	}
	if bad, ok := errors.AsType[x509.HostnameError](err); ok {
		names := bad.Certificate.DNSNames
		detail := "the certificate is for another host"
		if len(names) > 0 {
			detail += ": " + strings.Join(names[:min(len(names), 3)], ", ")
		}
		return finding{KindTLS, a.clean(detail), "a captive portal or a proxy may be answering in place of the API"}, true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return finding{KindTLS, "the certificate is signed by an authority this machine does not know",
			"a proxy or captive portal may be in between; SSL_CERT_FILE can name a file of authorities"}, true
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return finding{KindTLS, "this machine has no list of certificate authorities", "install ca-certificates or set SSL_CERT_FILE"}, true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return finding{KindTLS, "the certificate is not acceptable", ""}, true
	}
	return finding{}, false
}

func (a *attempt) invalidCertificate(bad x509.CertificateInvalidError) finding {
	if bad.Reason != x509.Expired || bad.Cert == nil {
		return finding{KindTLS, "the certificate is not acceptable", ""}
	}
	now := a.c.cfg.Now()
	detail := "the certificate expired on " + day(bad.Cert.NotAfter)
	hint := "check this machine's clock; if it is right, the server's certificate is out of date"
	if now.Before(bad.Cert.NotBefore) {
		detail = "the certificate is valid only from " + day(bad.Cert.NotBefore)
		hint = "set this machine's clock"
	}
	return finding{KindTLS, detail + ", and this machine's clock says " + day(now), hint}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
