package openapitest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const vmID = "c8f9cadc-4c58-4eab-a847-df31723c7d16"

func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer x")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func TestValidateRequest(t *testing.T) {
	v := New(t)
	for _, c := range []struct {
		name, method, target, body string
		ok, undocumented           bool
	}{
		{name: "list", method: "GET", target: "/api/v1/vms", ok: true},
		{name: "list without the prefix", method: "GET", target: "http://host.example:81/vms", ok: true},
		{name: "key", method: "GET", target: "/vm/" + vmID + "/ssh_key", ok: true},
		{name: "commit", method: "POST", target: "/vm/" + vmID + "/commit?keep_paused=true", body: `{"commit_id":"` + vmID + `","name":"n"}`, ok: true},
		{name: "commit without a body", method: "POST", target: "/vm/" + vmID + "/commit"},
		{name: "commit with a number as name", method: "POST", target: "/vm/" + vmID + "/commit", body: `{"name":3}`},
		{name: "commits", method: "GET", target: "/commits?limit=3&offset=0", ok: true},
		{name: "commits with a word as limit", method: "GET", target: "/commits?limit=many"},
		{name: "state", method: "PATCH", target: "/vm/" + vmID + "/state", body: `{"state":"Paused"}`, ok: true},
		{name: "state in small letters", method: "PATCH", target: "/vm/" + vmID + "/state", body: `{"state":"paused"}`},
		{name: "label", method: "PATCH", target: "/vm/" + vmID + "/label", body: `{"labels":{"a":"b"}}`, ok: true},
		{name: "count", method: "POST", target: "/vm/" + vmID + "/branch?count=x"},
		{name: "query of no use", method: "GET", target: "/vms?all=1", undocumented: true},
		{name: "health", method: "GET", target: "/health", undocumented: true},
		{name: "other method", method: "PUT", target: "/vms", undocumented: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(c.method, c.target, c.body)
			err := v.ValidateRequest(r)
			if (err == nil) != c.ok || errors.Is(err, ErrUndocumented) != c.undocumented {
				t.Errorf("got %v", err)
			}
			if body, _ := io.ReadAll(r.Body); string(body) != c.body {
				t.Errorf("the body is now %q", body)
			}
		})
	}
	t.Run("no token", func(t *testing.T) {
		if err := v.ValidateRequest(httptest.NewRequest("GET", "/vms", nil)); err == nil {
			t.Error("accepted")
		}
	})
}

func TestValidateResponse(t *testing.T) {
	v := New(t)
	vm := `{"vm_id":"` + vmID + `","owner_id":"` + vmID + `","created_at":"2026-02-24T03:20:00Z","state":"running"}`
	for _, c := range []struct {
		name, target string
		status       int
		body         string
		ok           bool
	}{
		{"list", "/vms", 200, "[" + vm + "]", true},
		{"empty list", "/vms", 200, "[]", true},
		{"null labels", "/vms", 200, "[" + strings.Replace(vm, "{", `{"labels":null,`, 1) + "]", true},
		{"number as label", "/vms", 200, "[" + strings.Replace(vm, "{", `{"labels":{"a":1},`, 1) + "]", false},
		{"object for a list", "/vms", 200, "{}", false},
		{"unknown state", "/vms", 200, "[" + strings.Replace(vm, "running", "lost", 1) + "]", false},
		{"missing field", "/vms", 200, `[{"vm_id":"` + vmID + `"}]`, false},
		{"no key", "/vm/" + vmID + "/ssh_key", 200, `{"ssh_port":22}`, false},
		{"negative port", "/vm/" + vmID + "/ssh_key", 200, `{"ssh_private_key":"k","ssh_port":-1}`, false},
		{"not found", "/vm/" + vmID + "/status", 404, `{"error":"no such VM","success":false}`, true},
		{"undocumented status", "/vms", 503, "503 Service Unavailable", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			rec.Header().Set("Content-Type", "application/json")
			rec.WriteHeader(c.status)
			rec.WriteString(c.body)
			resp := rec.Result()
			err := v.ValidateResponse(request("GET", c.target, ""), resp)
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != c.body {
				t.Errorf("the body is now %q", body)
			}
		})
	}
}

func TestHandler(t *testing.T) {
	v := New(t)
	serve := func(target, contentType, body string, status int) bool {
		probe := &recorder{TB: t}
		h := v.Handler(probe, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, request("GET", target, ""))
		if rec.Code != status || rec.Body.String() != body {
			t.Errorf("%s: passed on %d %q", target, rec.Code, rec.Body)
		}
		return !probe.failed
	}
	if !serve("/vms", "application/json", "[]", 200) || !serve("/health", "text/plain", "ok", 200) ||
		!serve("/vms", "", "403 Forbidden", 403) || !serve("/vms", "text/plain", "503 Service Unavailable", 503) {
		t.Error("a true answer of the service was reported")
	}
	if serve("/vms", "application/json", `[{"vm_id":1}]`, 200) || serve("/vms", "text/html", "<html>", 200) {
		t.Error("a wrong answer was not reported")
	}
}

// recorder notes whether a test would have failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestSkipsWithoutDocument(t *testing.T) {
	t.Setenv(EnvDocument, "")
	t.Chdir(t.TempDir())
	if p := find(); p != "" && !strings.HasSuffix(p, "vers-openapi.json") {
		t.Errorf("found %s", p)
	}
	t.Setenv(EnvDocument, "/elsewhere.json")
	if p := find(); p != "/elsewhere.json" {
		t.Errorf("the variable was not followed: %s", p)
	}
}
