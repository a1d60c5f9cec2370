package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestErrorAnswers holds every form of error in docs/platform.md, and what proxies
// and portals send, against the kind it must have.
func TestErrorAnswers(t *testing.T) {
	const page = "<!DOCTYPE html><html><head><title>Sign in &amp; pay</title></head></html>"
	for _, c := range []struct {
		name            string
		status          int
		ctype, body     string
		want            Kind
		message, detail string
	}{
		{"503 text", 503, "", "503 Service Unavailable", KindUnavailable, "Service Unavailable", ""},
		{"503 other text", 503, "text/plain", "Service unavailable", KindUnavailable, "Service unavailable", ""},
		{"503 HTML", 503, "text/html", "<html><title>503 oops</title>", KindUnavailable, "oops", ""},
		{"502 empty", 502, "", "", KindUnavailable, "", ""},
		{"500 JSON", 500, "application/json", `{"error":"boom","success":false}`, KindUnavailable, "boom", ""},
		{"429", 429, "", "slow down", KindUnavailable, "slow down", ""},
		{"408", 408, "", "", KindUnavailable, "", ""},
		{"425", 425, "", "", KindUnavailable, "", ""},
		{"403 text", 403, "", "403 Forbidden", KindAuth, "Forbidden", ""},
		{"401 empty", 401, "", "", KindAuth, "", ""},
		{"401 empty behind a proxy that adds a type", 401, "text/html", "", KindAuth, "", ""},
		{"403 JSON", 403, "application/json", `{"error":"not yours","success":false}`, KindAuth, "not yours", ""},
		{"401 portal", 401, "text/html", page, KindNotVers, "Sign in & pay", "HTML"},
		{"403 firewall without type", 403, "", page, KindNotVers, "Sign in & pay", "HTML"},
		{"404 JSON", 404, "application/json", `{"error":"VM not found","success":false}`, KindNotFound, "VM not found", ""},
		{"404 hybrid", 404, "application/json", `{"vms":[],"error":"no such VM"}`, KindNotFound, "no such VM", ""},
		{"404 text", 404, "text/plain", "404 page not found", KindNotVers, "page not found", ""},
		{"404 empty", 404, "", "", KindNotVers, "", ""},
		{"404 HTML", 404, "text/html", page, KindNotVers, "Sign in & pay", "HTML"},
		{"404 JSON of another service", 404, "application/json", `{"message":"no Route matched"}`, KindNotVers, "", ""},
		{"409", 409, "application/json", `{"error":"commit still has 1 active VM(s)","success":false}`, KindConflict, "commit still has 1 active VM(s)", ""},
		{"400 malformed id", 400, "", "UUID parsing failed: invalid length", KindInvalid, "UUID parsing failed: invalid length", ""},
		{"409 text", 409, "", "Conflict", KindNotVers, "Conflict", ""},
		{"418 text", 418, "text/plain", "I'm a teapot", KindNotVers, "I'm a teapot", ""},
		{"418 JSON", 418, "application/json", `{"error":"no","success":false}`, KindInvalid, "no", ""},
		{"422 text", 422, "text/plain", "Failed to deserialize", KindNotVers, "Failed to deserialize", ""},
		{"422 JSON", 422, "application/json", `{"error":"no","success":false}`, KindInvalid, "no", ""},
		{"400 HTML", 400, "text/html", page, KindNotVers, "Sign in & pay", "HTML"},
		{"405", 405, "", "", KindNotVers, "", ""},
		{"405 JSON", 405, "", `{"error":"no"}`, KindInvalid, "no", ""},
		{"407", 407, "", "", KindProxy, "", ""},
		{"304", 304, "", "", KindNotVers, "", ""},
		{"200 portal", 200, "text/html", page, KindNotVers, "Sign in & pay", "HTML"},
		{"200 portal without type", 200, "", "\r\n  <html>", KindNotVers, "", "HTML"},
		{"200 empty", 200, "application/json", "", KindNotVers, "", "empty"},
		{"200 text", 200, "text/plain", "hello", KindNotVers, "", ""},
		{"200 null", 200, "application/json", "null", KindNotVers, "", ""},
		{"200 object", 200, "application/json", "{}", KindNotVers, "", ""},
		{"200 application error", 200, "application/json", `{"error":"database","success":false}`, KindInvalid, "database", ""},
		{"200 hybrid error", 200, "application/json", `{"vms":[],"error":"no capacity"}`, KindInvalid, "no capacity", ""},
		{"200 cut JSON", 200, "application/json", `[{"vm_id":"c8f`, KindTruncated, "", ""},
		{"200 two values", 200, "application/json", `[] []`, KindNotVers, "", "follows"},
		{"200 deep", 200, "application/json", strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), KindNotVers, "", "deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, _ := client(t, answering(t, c.status, c.ctype, c.body).URL, nil)
			vms, err := cl.VMs(t.Context())
			e := failure(t, err, c.want)
			if e.Message != c.message || !strings.Contains(e.Detail, c.detail) {
				t.Errorf("got message %q, detail %q", e.Message, e.Detail)
			}
			if vms != nil || e.Status != c.status || !e.Sent || e.Retry.Unsent {
				t.Errorf("got VMs %v, status %d, sent %v, hint %+v", vms, e.Status, e.Sent, e.Retry)
			}
			if want := c.want == KindUnavailable || c.want == KindNotVers || c.want == KindTruncated || c.want == KindProxy; e.Kind.Unreachable() != want {
				t.Errorf("unreachable is %v", e.Kind.Unreachable())
			}
		})
	}
}

// What writes can conflict and can be refused in plain text.
func TestRefusedWrites(t *testing.T) {
	for status, want := range map[int]Kind{400: KindInvalid, 409: KindConflict, 413: KindInvalid, 418: KindNotVers, 422: KindInvalid} {
		c, _ := client(t, answering(t, status, "text/plain", "no").URL, nil)
		_, err := c.Commit(t.Context(), vmA, CommitRequest{})
		failure(t, err, want)
	}
}

func TestHintForAnotherBase(t *testing.T) {
	s := answering(t, 404, "", "404 page not found")
	for base, want := range map[string]string{s.URL: s.URL + "/api/v1;", s.URL + "/": s.URL + "/api/v1;", s.URL + "/api/v1/": "check the API URL"} {
		c, _ := client(t, base, nil)
		_, err := c.Status(t.Context(), vmA)
		if e := failure(t, err, KindNotVers); !strings.Contains(e.Hint, want) {
			t.Errorf("%s: got hint %q", base, e.Hint)
		}
	}
}

func TestServerSentWaits(t *testing.T) {
	now := time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		status int
		header map[string]string
		after  time.Duration
		has    bool
	}{
		{"none", 503, nil, 0, false},
		{"seconds", 503, map[string]string{"Retry-After": "7"}, 7 * time.Second, true},
		{"milliseconds", 429, map[string]string{"Retry-After-Ms": "1500"}, 1500 * time.Millisecond, true},
		{"junk", 503, map[string]string{"Retry-After": "soon"}, 0, false},
		{"date by the server's own clock", 503, map[string]string{
			"Date":        now.Add(-time.Hour).Format(http.TimeFormat),
			"Retry-After": now.Add(-time.Hour).Add(30 * time.Second).Format(http.TimeFormat)}, 30 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
			})
			cl, _ := client(t, s.URL, func(cfg *Config, _ *hooks) { cfg.Now = func() time.Time { return now } })
			_, err := cl.VMs(t.Context())
			h := failure(t, err, KindUnavailable).RetryHint()
			if h.After != c.after || h.HasAfter != c.has || !h.Transient {
				t.Errorf("got %+v", h)
			}
		})
	}
}

func TestNotImplementedIsNotTransient(t *testing.T) {
	c, _ := client(t, answering(t, 501, "", "").URL, nil)
	_, err := c.VMs(t.Context())
	if failure(t, err, KindUnavailable).Retry.Transient {
		t.Error("501 will not go away by itself")
	}
}

// TestHostileWords: escapes, line breaks, invisible and overlong text.
func TestHostileWords(t *testing.T) {
	body := `{"error":"\u001b]0;pwned\u0007line\r\nbreak \u202Eoverride\u200b ` + strings.Repeat("lang ", 500) + `","success":false}`
	c, _ := client(t, answering(t, 400, "application/json", body).URL, nil)
	_, err := c.VMs(t.Context())
	m := failure(t, err, KindInvalid).Message
	if !strings.HasPrefix(m, "]0;pwnedline break override lang") || len([]rune(m)) > 200 {
		t.Errorf("got %q", m)
	}
}

// blocking answers 503 with a body of which only the first words ever come.
type blocking struct{ ctx context.Context }

func (b *blocking) RoundTrip(r *http.Request) (*http.Response, error) {
	b.ctx = r.Context()
	return &http.Response{StatusCode: 503, Request: r, Header: http.Header{},
		Body: io.NopCloser(io.MultiReader(strings.NewReader("back at"), b))}, nil
}

func (b *blocking) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

// TestSlowErrorBody: the status says enough; its words are hardly waited for.
func TestSlowErrorBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, "https://api.example", withTimeouts(Timeouts{Whole: time.Hour}))
		c.http.Transport = &blocking{}
		start := time.Now()
		_, err := c.VMs(t.Context())
		if e := failure(t, err, KindUnavailable); e.Message != "back at" || time.Since(start) != errorBodyTime {
			t.Errorf("got %q after %s", e.Message, time.Since(start))
		}
	})
}

// endless counts what is read from it.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) { e.n += int64(len(p)); return len(p), nil }

func TestReadBodyStops(t *testing.T) {
	e := &endless{}
	body, err := readBody(e, 1000)
	if len(body) != 1000 || !errors.Is(err, errTooLarge) || e.n > 1001 {
		t.Errorf("got %d bytes of %d read, %v", len(body), e.n, err)
	}
	body, err = readBody(io.LimitReader(e, 1000), 1000)
	if len(body) != 1000 || err != nil {
		t.Errorf("got %d bytes, %v", len(body), err)
	}
}
