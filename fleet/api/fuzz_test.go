package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
)

// canned answers every request with the same response.
type canned struct {
	status      int
	contentType string
	body        []byte
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: -1,
		Header: http.Header{"Content-Type": {c.contentType}, "Location": {string(c.body)}, "Retry-After": {string(c.body)}},
		Body:   io.NopCloser(bytes.NewReader(c.body)),
	}, nil
}

// FuzzAnswers sends anything back to every call. Whatever it is, the client
// returns, with valid ids and printable text, or with an *Error whose parts fit
// together.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{"", "[]", "{}", "null", "403 Forbidden", "<html><title>x</title>", "[" + vmJSON(vmA, `,"labels":{"a":"b"}`) + "]",
		vmJSON(vmA, `,"ip":"::1","deleted_at":null`), `{"vms":[],"error":"x"}`, `{"error":"x","success":false}`, `{"commit_id":"` + commitA + `"}`,
		`{"commits":[{"commit_id":"` + commitA + `"}],"total":1}`, `[{"id":"` + commitA + `"}]`, `{"ssh_private_key":"-----BEGIN `, "[[[[", "\x1b]0;x\x07",
		"<title>\u0130</title>"} {
		for _, status := range []int{200, 201, 302, 403, 404, 503} {
			f.Add(status, "application/json", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 100 || status > 999 {
			t.Skip("no HTTP status")
		}
		c, s := client(t, "http://127.0.0.1", nil)
		c.http.Transport = canned{status, contentType, body}
		for name, err := range callAll(t.Context(), t, c) {
			checkFuzzed(t, name, status, err)
		}
		for _, line := range s.all() {
			if !printed(line) {
				t.Errorf("unclean line %q", line)
			}
		}
	})
}

func callAll(ctx context.Context, t *testing.T, c *Client) map[string]error {
	t.Helper()
	errs := map[string]error{}
	ids := func(list ...string) {
		for _, id := range list {
			if !ValidID(id) {
				t.Errorf("returned the id %q", id)
			}
		}
	}
	vms, err := c.VMs(ctx)
	errs["vms"] = err
	for _, vm := range vms {
		ids(vm.ID)
		for k, v := range vm.Labels {
			if !printed(k) || !printed(v) || !printed(string(vm.State)) {
				t.Errorf("unclean VM %q", vm)
			}
		}
	}
	vm, err := c.Status(ctx, vmA)
	if errs["status"] = err; err == nil {
		ids(vm.ID)
	}
	_, errs["metadata"] = c.Metadata(ctx, vmA)
	key, err := c.SSHKey(ctx, vmA)
	if errs["ssh_key"] = err; err == nil && (len(key.PrivateKey) == 0 || key.Port < 0 || key.Port > 65535) {
		t.Errorf("returned %v", key)
	}
	id, err := c.Commit(ctx, vmA, CommitRequest{CommitID: commitA})
	if errs["commit"] = err; err == nil && id != commitA {
		t.Errorf("confirmed %q", id)
	}
	parents, err := c.CommitParents(ctx, commitA)
	if errs["parents"] = err; err == nil && (len(parents) == 0 || parents[0].ID != commitA) {
		t.Errorf("returned %v", parents)
	}
	branched, err := c.Branch(ctx, vmA, 1)
	errs["branch"] = err
	ids(branched...)
	errs["state"] = c.SetState(ctx, vmA, StatePaused)
	return errs
}

func checkFuzzed(t *testing.T, name string, status int, err error) {
	t.Helper()
	if err == nil {
		if status < 200 || status > 299 {
			t.Errorf("%s: success from status %d", name, status)
		}
		return
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || !printed(e.Error()) || !printed(e.Hint) || len([]rune(e.Message)) > maxMessage || e.Kind.String() == "unknown" {
		t.Errorf("%s: %q (%T)", name, err, err)
	}
	if (e.Kind == KindUnavailable) != unavailable(status) {
		t.Errorf("%s: status %d is %s", name, status, e.Kind)
	}
}

func printed(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
