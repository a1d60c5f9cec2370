package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync"
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
				MinVersion: tls.VersionTLS12,
				RootCAs:    cfg.RootCAs,
				Time:       cfg.Now,
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

// trace watches how far a call comes. The transport calls its hooks from
// several goroutines, some of them after the call has returned.
type trace struct {
	mu          sync.Mutex
	stage       Stage
	sent        bool    // a connection was there, so bytes may have left
	firstByte   bool    // something came back
	connectErrs []error // one per address tried

	headers time.Duration // allowed from the request sent to the headers read
	expire  func()
	timer   *time.Timer
}

// reach notes a stage. Stages never go back: a second address may still be
// tried while the first is in use already.
func (t *trace) reach(s Stage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reachLocked(s)
}

func (t *trace) reachLocked(s Stage) {
	order := []Stage{StageStart, StageLookup, StageConnect, StageTLS, StageSend, StageHeaders, StageBody}
	if slices.Index(order, s) > slices.Index(order, t.stage) {
		t.stage = s
	}
}

// arm has expire called when no headers came in time after the request.
func (t *trace) arm(headers time.Duration, expire func()) {
	t.headers, t.expire = headers, expire
}

// disarm stops the clock for good.
func (t *trace) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop()
	t.expire = nil
}

func (t *trace) stop() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// answered notes that the headers are there.
func (t *trace) answered() {
	t.disarm()
	t.reach(StageBody)
}

// written starts the clock of the headers; again after a redirect.
func (t *trace) written() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reachLocked(StageHeaders)
	t.stop()
	if t.expire != nil {
		t.timer = time.AfterFunc(t.headers, t.expire)
	}
}

// seen returns what is known so far.
func (t *trace) seen() (stage Stage, sent, firstByte bool, connectErrs []error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stage, t.sent, t.firstByte, t.connectErrs
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { t.reach(StageLookup) },
		ConnectStart: func(string, string) { t.reach(StageConnect) },
		ConnectDone: func(_, _ string, err error) {
			t.mu.Lock()
			defer t.mu.Unlock()
			if err != nil {
				t.connectErrs = append(t.connectErrs, err)
			}
		},
		TLSHandshakeStart: func() { t.reach(StageTLS) },
		GotConn: func(httptrace.GotConnInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.reachLocked(StageSend)
			t.sent = true
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				t.written()
			}
		},
		GotFirstResponseByte: func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.firstByte = true
		},
	}
}
