package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// maxRedirects bounds the same-host redirects of one GET.
const maxRedirects = 5

// newHTTP returns the client under all calls. The proxies of the environment
// (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) are read here, once.
func newHTTP(cfg Config, dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			Proxy:                  func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
			OnProxyConnectResponse: checkProxy,
			DialContext:            dial,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    cfg.Timeouts.Connect,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 256 << 10,
			TLSClientConfig: &tls.Config{
				MinVersion:         tls.VersionTLS12,
				RootCAs:            cfg.RootCAs,
				InsecureSkipVerify: cfg.InsecureSkipVerify, //nolint:gosec // asked for by the user, who was warned
				Time:               cfg.Now,
			},
		},
	}
}

// proxyAnswer is a proxy's refusal to make a tunnel.
type proxyAnswer struct{ status int }

func (e *proxyAnswer) Error() string { return fmt.Sprintf("the proxy answers %d", e.status) }

func checkProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &proxyAnswer{resp.StatusCode}
	}
	return nil
}

// checkRedirect follows a GET to the same scheme, host and port. Everything
// else ends with the redirect itself as the answer: a token goes nowhere it was
// not configured for, and what changes something is not sent twice.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || len(via) > maxRedirects ||
		next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host || next.URL.User != nil {
		return http.ErrUseLastResponse
	}
	return nil
}
