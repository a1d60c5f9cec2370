package mcpserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// HTTPOptions say how the protocol is served over HTTP.
type HTTPOptions struct {
	Token string           // that every request must carry
	TLS   *tls.Certificate // nil: loopback only
}

// MinToken is the shortest token that is taken, bytes: what cannot be guessed.
const MinToken = 32

// idleSession is after how long a client that says nothing is forgotten.
const idleSession = time.Hour

// Listen opens the address: loopback, unless there is a certificate. The error is of
// kind Usage.
func Listen(ctx context.Context, address string, o HTTPOptions) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage("cannot listen at "+safe.Clean(address), "it is no HOST:PORT", "for example 127.0.0.1:7481")
	}
	if ip := net.ParseIP(host); o.TLS == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usage("refusing to listen at "+safe.Clean(address)+" without TLS", "others could read what is asked and answered, and the token", "listen at 127.0.0.1, or give --tls-cert and --tls-key")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &problem.Error{Kind: problem.Usage, What: "cannot listen at " + safe.Clean(address), Why: err.Error(), Origin: problem.OriginLocal, Err: err}
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); o.TLS == nil && (!ok || !tcp.IP.IsLoopback()) { // whatever localhost is here
		return nil, errors.Join(usage("refusing to listen at "+safe.Clean(address)+" without TLS", "it is not this machine alone", "listen at 127.0.0.1"), l.Close())
	}
	return l, nil
}

// ServeHTTP speaks the protocol over HTTP at the listener until ctx ends, which is
// no error; then sessions end too.
func (s *Server) ServeHTTP(ctx context.Context, l net.Listener, o HTTPOptions) error {
	inner := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.mcp }, &mcp.StreamableHTTPOptions{
		SessionTimeout: idleSession, MaxRequestBodyBytes: maxMessage})
	h := &http.Server{Handler: admitted(inner, l.Addr(), o), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = h.Close() })()
	var err error
	if o.TLS != nil {
		h.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*o.TLS}, MinVersion: tls.VersionTLS12}
		err = h.ServeTLS(l, "", "")
	} else {
		err = h.Serve(l)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// admitted lets through what carries the token, was sent to this server by one of
// its names, and comes from no page of another origin. The library lets a
// cross-site Origin through, so all of it is checked here.
func admitted(next http.Handler, at net.Addr, o HTTPOptions) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + o.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		switch {
		case !ownHost(r.Host, at, o.TLS):
			http.Error(w, "this server is not called that", http.StatusMisdirectedRequest)
		case !ownOrigin(r, o.TLS != nil):
			http.Error(w, "requests of other origins are refused", http.StatusForbidden)
		case subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownHost reports whether a Host names this server, at its port: this machine's
// names for itself, or with TLS a name that the certificate has. A page whose name
// was made to resolve to this address has another (DNS rebinding).
func ownHost(host string, at net.Addr, cert *tls.Certificate) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "" // the scheme's own
	}
	_, own, err := net.SplitHostPort(at.String())
	if err != nil || port != own && (port != "" || own != "80" && own != "443") {
		return false
	}
	if ip := net.ParseIP(name); ip != nil && ip.IsLoopback() || strings.EqualFold(name, "localhost") {
		return true
	}
	if cert == nil {
		return false
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	return err == nil && leaf.VerifyHostname(name) == nil
}

// ownOrigin reports whether a request comes from no page, or from one of this
// server itself.
func ownOrigin(r *http.Request, secure bool) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	u, err := url.Parse(origins[0])
	return err == nil && len(origins) == 1 && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}
