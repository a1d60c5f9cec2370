package sim

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// start runs a simulator for a test.
func start(t *testing.T, cfg Config) *Sim {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// reply is an answer of the API.
type reply struct {
	status int
	ctype  string
	body   string
	header http.Header
}

// call makes one API call with the right key. A request that gets no answer
// has status 0 and the error as body.
func call(t *testing.T, s *Sim, method, path, body string) reply {
	t.Helper()
	return callKey(t, s, s.APIKey(), method, path, body)
}

func callKey(t *testing.T, s *Sim, key, method, path, body string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.BaseURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return reply{body: err.Error(), header: resp.Header}
	}
	return reply{status: resp.StatusCode, ctype: resp.Header.Get("Content-Type"), body: string(data), header: resp.Header}
}

func decodeBody[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
	return v
}

// dialTLS opens the TLS stream to a VM.
func dialTLS(t *testing.T, s *Sim, name string) (net.Conn, error) {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Minute}, Config: &tls.Config{ServerName: name, RootCAs: pool}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return dialer.DialContext(ctx, "tcp", s.Gateway())
}

// login logs in at a VM with its key from the API.
func login(t *testing.T, s *Sim, vm *VM) (*ssh.Client, error) {
	t.Helper()
	r := call(t, s, "GET", "/vm/"+vm.ID()+"/ssh_key", "")
	if r.status != 200 {
		t.Fatalf("ssh_key: %+v", r)
	}
	signer, err := ssh.ParsePrivateKey([]byte(decodeBody[keyBody](t, r).SSHPrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialTLS(t, s, s.ServerName(vm))
	if err != nil {
		return nil, err
	}
	want, err := vm.HostKey()
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, Timeout: time.Minute,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if got := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))); got != want {
				return errors.New("wrong host key")
			}
			return nil
		}}
	c, channels, requests, err := ssh.NewClientConn(conn, "vm", config)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	client := ssh.NewClient(c, channels, requests)
	t.Cleanup(func() { _ = client.Close() })
	return client, nil
}

func mustLogin(t *testing.T, s *Sim, vm *VM) *ssh.Client {
	t.Helper()
	client, err := login(t, s, vm)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// run runs a command over SSH.
func run(t *testing.T, client *ssh.Client, command, stdin string) (stdout, stderr string, err error) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var out, errOut bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader(stdin), &out, &errOut
	err = session.Run(command)
	return out.String(), errOut.String(), err
}

// missing ends a test for want of a program: a failure in CI, else a skip.
func missing(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}
