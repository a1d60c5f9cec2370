package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// testPEM returns a private key in OpenSSH form, the same every time.
var testPEM = sync.OnceValue(func() string {
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "")
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(block))
})

// leaks reports which part of a secret is in text.
func leaks(text string) string {
	middle := testPEM()[200:230]
	for _, secret := range []string{testKey, testKey[36:], testKey[37:50], "PRIVATE KEY-----", middle, fmt.Sprintf("%x", middle), strings.Trim(fmt.Sprint([]byte(middle)), "[]")} {
		if strings.Contains(text, secret) {
			return secret
		}
	}
	return ""
}

// everyForm renders a value in all the ways programs do.
func everyForm(v any) string {
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	j, _ := json.Marshal(v)
	b.Write(j)
	slog.New(slog.NewTextHandler(&b, nil)).Info("text", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "v", v)
	if err, ok := v.(error); ok {
		for e := errors.Unwrap(err); e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(&b, "%v %+v %#v\n", e, e, e)
		}
	}
	return b.String()
}

// TestEchoedSecrets: a server that sends back all it knows, in every place it
// has.
func TestEchoedSecrets(t *testing.T) {
	pemText := testPEM()
	pemJSON, _ := json.Marshal(pemText)
	half := testKey[:50] + "\n" + testKey[50:]
	hidden := testKey[:60] + "\u200b\x00" + testKey[60:]
	bodies := []string{
		"bad token Bearer " + testKey, testKey[36:], "<html><title>" + testKey + "</title>", half, hidden, pemText, pemText[:300],
		strings.Repeat("x ", 70) + testKey, // the cut comes within
		`{"error":"token ` + testKey + `","success":false}`, `{"error":` + string(pemJSON) + `,"success":false}`,
		`[{"vm_id":"` + testKey + `"},` + vmJSON(vmA, `,"labels":{"`+testKey+`":1}`) + `]`,
		`[` + vmJSON(vmA, `,"deleted_at":"`+testKey+`"`) + `]`, `{"commit_id":"` + testKey + `"}`, testKey,
		`{"ssh_private_key":` + string(pemJSON) + `,"ssh_port":"` + testKey + `"}`,
	}
	for _, body := range bodies {
		for _, status := range []int{200, 302, 400, 401, 404, 503} {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://"+testKey+".example/"+testKey+"?k="+testKey)
				w.Header().Set("Retry-After", testKey)
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			})
			c, said := client(t, s.URL, nil)
			ctx := t.Context()
			out := everyForm(c)
			_, err := c.VMs(ctx)
			out += everyForm(err)
			_, err = c.Status(ctx, vmA)
			out += everyForm(err)
			_, err = c.Commit(ctx, vmA, CommitRequest{CommitID: commitA})
			out += everyForm(err)
			key, err := c.SSHKey(ctx, vmA)
			out += everyForm(err) + everyForm(key) + everyForm(struct{ K SSHKey }{key}) + everyForm([]*SSHKey{&key})
			out += strings.Join(said.all(), "\n")
			if leak := leaks(out); leak != "" {
				t.Errorf("status %d, body %.60q: %q in\n%s", status, body, leak, out)
			}
			s.Close()
		}
	}
}

// TestSecretsInTransportErrors: malformed answers are quoted by net/http.
func TestSecretsInTransportErrors(t *testing.T) {
	for _, answer := range []string{testKey + "\r\n\r\n", "HTTP/1.1 2" + testKey + " OK\r\n\r\n", "HTTP/1.1 200 OK\r\n" + testKey + "\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://[" + testKey + "\r\n\r\n"} {
		url := rawServer(t, func(c net.Conn, in *bufio.Reader, _ <-chan struct{}) {
			_, _ = http.ReadRequest(in)
			_, _ = io.WriteString(c, answer)
		})
		c, said := client(t, url, nil)
		_, err := c.VMs(t.Context())
		if out := everyForm(err) + strings.Join(said.all(), "\n"); leaks(out) != "" || !strings.Contains(out, "not_vers") {
			t.Errorf("answer %q: %s", answer, out)
		}
	}
}

func TestKeySources(t *testing.T) {
	down := errors.New("vault is sealed")
	for name, c := range map[string]struct {
		get  func(context.Context) (string, error)
		want Kind
	}{
		"none":       {nil, KindNoKey},
		"empty":      {func(context.Context) (string, error) { return " \n", nil }, KindNoKey},
		"failing":    {func(context.Context) (string, error) { return "", down }, KindNoKey},
		"two lines":  {func(context.Context) (string, error) { return testKey + "\nX-Evil: 1", nil }, KindNoKey},
		"with echo":  {func(context.Context) (string, error) { return "", errors.New("bad line: " + testKey) }, KindNoKey},
		"line break": {func(context.Context) (string, error) { return testKey + "\n", nil }, 0},
	} {
		s, got := recording(t, 200, "[]")
		cl, _ := client(t, s.URL, func(cfg *Config, _ *hooks) { cfg.APIKey = c.get })
		_, err := cl.VMs(t.Context())
		if c.want == 0 {
			if err != nil || got.header.Get("Authorization") != "Bearer "+testKey {
				t.Errorf("%s: %v, %v", name, err, got.header)
			}
			continue
		}
		e := failure(t, err, c.want)
		if got.line != "" || e.Sent || e.Kind.Unreachable() || leaks(everyForm(err)) != "" || name == "failing" && !errors.Is(err, down) {
			t.Errorf("%s: sent %q, got %v", name, got.line, e)
		}
	}
}

// TestKeyIsFetchedOnce, however many calls start at the same time.
func TestKeyIsFetchedOnce(t *testing.T) {
	fetched := 0 // unguarded: the client promises one call at a time
	s := answering(t, 200, "", "[]")
	c, _ := client(t, s.URL, func(cfg *Config, _ *hooks) {
		cfg.APIKey = func(context.Context) (string, error) { fetched++; return testKey, nil }
	})
	errs := make(chan error)
	for range 8 {
		go func() { _, err := c.VMs(t.Context()); errs <- err }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if fetched != 1 {
		t.Errorf("fetched %d times", fetched)
	}
}

func TestPlausibleKey(t *testing.T) {
	good := testPEM()
	for in, ok := range map[string]bool{
		good: true, strings.TrimSpace(good): true, strings.ReplaceAll(good, "\n", "\r\n"): true, "\n" + good: true,
		"": false, "key": false, good + good: false, "text\n" + good: false, good[:len(good)/2]: false,
		strings.ReplaceAll(good, "OPENSSH", "RSA"):                                           false,
		"-----BEGIN OPENSSH PRIVATE KEY-----\naGVsbG8=\n-----END OPENSSH PRIVATE KEY-----\n": false,
	} {
		got, valid := plausibleKey([]byte(in))
		if valid != ok || ok && string(got) != good {
			t.Errorf("%.40q: %v, %d bytes", in, valid, len(got))
		}
	}
}
