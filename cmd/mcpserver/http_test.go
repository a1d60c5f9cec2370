package mcpserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

const testToken = "0123456789abcdef0123456789abcdef"

// What comes without the token, for another host, or from another origin's page is
// refused before anything is done.
func TestAdmission(t *testing.T) {
	t.Parallel()
	s, err := New(testOptions(t, fleettest.New(t, 6).Open()))
	if err != nil {
		t.Fatal(err)
	}
	o := HTTPOptions{Token: testToken}
	l, err := Listen(t.Context(), "127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServeHTTP(ctx, l, o) }()
	defer func() {
		stop()
		<-done
	}()
	at := l.Addr().String()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host, token string
		header            map[string]string
		want              int
	}{
		{"all in order", at, testToken, nil, 200},
		{"localhost", "localhost:" + port, testToken, nil, 200},
		{"own page", at, testToken, map[string]string{"Origin": "http://" + at, "Sec-Fetch-Site": "same-origin"}, 200},
		{"no token", at, "", nil, 401},
		{"wrong token", at, strings.ToUpper(testToken), nil, 401},
		{"half a token", at, testToken[:16], nil, 401},
		{"another host", "evil.example:" + port, testToken, nil, 421},
		{"rebound name", "127.0.0.1.evil.example:" + port, testToken, nil, 421},
		{"another port", "127.0.0.1:1", testToken, nil, 421},
		{"no port", "127.0.0.1", testToken, nil, 421},
		{"another origin", at, testToken, map[string]string{"Origin": "https://evil.example"}, 403},
		{"origin of another port", at, testToken, map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
		{"null origin", at, testToken, map[string]string{"Origin": "null"}, 403},
		{"other scheme", at, testToken, map[string]string{"Origin": "https://" + at}, 403},
		{"cross-site without Origin", at, testToken, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"same site", at, testToken, map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
	} {
		body := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+at+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		for k, v := range c.header {
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.name, resp.StatusCode, c.want)
		}
	}
}

// Without TLS nobody but this machine is listened to.
func TestListenRefuses(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"0.0.0.0:0", ":0", "[::]:0", "example.com:0", "192.0.2.1:0", "nonsense"} {
		l, err := Listen(t.Context(), at, HTTPOptions{})
		if problem.KindOf(err) != problem.Usage {
			t.Errorf("%s: %v", at, err)
		}
		if l != nil {
			_ = l.Close()
		}
	}
}

// With TLS the server is called what its certificate says.
func TestHostsOfACertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	cert := server.TLS.Certificates[0] // of example.com and 127.0.0.1
	server.Close()
	at := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8443}
	for host, want := range map[string]bool{"example.com:8443": true, "evil.example:8443": false, "example.com:1": false, "example.com": false} {
		if got := ownHost(host, at, &cert); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	if ownHost("example.com:8443", at, nil) || ownHost("example.com:8443", at, &tls.Certificate{Certificate: [][]byte{nil}}) {
		t.Error("a name that nothing vouches for is taken")
	}
}
