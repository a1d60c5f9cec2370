package openapitest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
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
		ok                         bool
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
		{name: "query of no use", method: "GET", target: "/vms?all=1"},
		{name: "commit with a field of no use", method: "POST", target: "/vm/" + vmID + "/commit", body: `{"nome":"n"}`},
		{name: "two ways to say which commit", method: "POST", target: "/vm/from_commit", body: `{"commit_id":"` + vmID + `","tag_name":"t"}`},
		{name: "id that is none", method: "GET", target: "/vm/marketing/status"},
		{name: "health", method: "GET", target: "/health", ok: true},
		{name: "other method", method: "PUT", target: "/vms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(c.method, c.target, c.body)
			err := v.ValidateRequest(r)
			if (err == nil) != c.ok {
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
		{"time that is none", "/vms", 200, "[" + strings.Replace(vm, "2026-02-24T03:20:00Z", "yesterday", 1) + "]", false},
		{"id that is none", "/vms", 200, `[{"vm_id":"marketing"` + vm[len(`{"vm_id":"`+vmID+`"`):] + "]", false},
		{"missing field", "/vms", 200, `[{"vm_id":"` + vmID + `"}]`, false},
		{"no key", "/vm/" + vmID + "/ssh_key", 200, `{"ssh_port":22}`, false},
		{"field of tomorrow", "/vms", 200, "[" + strings.Replace(vm, "{", `{"new":1,`, 1) + "]", true},
		{"negative port", "/vm/" + vmID + "/ssh_key", 200, `{"ssh_private_key":"k","ssh_port":-1}`, false},
		{"not found", "/vm/" + vmID + "/status", 404, `{"error":"no such VM","success":false}`, true},
		{"outage in JSON", "/vms", 503, `{"error":"x"}`, false},
		{"teapot", "/vms", 418, `{"error":"x"}`, false},
		{"state with a body", "/vm/" + vmID + "/state", 200, "{}", false},
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
	serve := func(r *http.Request, status int, contentType, body string) bool {
		probe := &recorder{TB: t}
		h := v.Handler(probe, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != status || rec.Body.String() != body {
			t.Errorf("%s: passed on %d %q", r.URL, rec.Code, rec.Body)
		}
		return !probe.failed
	}
	list := request("GET", "/vms", "")
	for _, c := range []struct {
		name        string
		r           *http.Request
		status      int
		ctype, body string
		ok          bool
	}{
		{"list", list, 200, "application/json", "[]", true},
		{"health", request("GET", "/health", ""), 200, "application/json", `{"status":"ok"}`, true},
		{"bad key", list, 403, "", "403 Forbidden", true},
		{"outage", list, 503, "text/plain", "503 Service Unavailable", true},
		{"wrong type", list, 200, "application/json", `[{"vm_id":1}]`, false},
		{"page", list, 200, "text/html", "<html>", false},
		{"field that is not described", request("POST", "/vm/from_commit", `{"tag_name":"t"}`), 201, "application/json", `{"vm_id":"` + vmID + `","new":1}`, false},
		{"bad request accepted", request("GET", "/vms?all=1", ""), 200, "application/json", "[]", false},
		{"bad request refused", request("GET", "/commits?limit=x", ""), 400, "", "invalid digit", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := serve(c.r, c.status, c.ctype, c.body); got != c.ok {
				t.Errorf("as described: %v, want %v", got, c.ok)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	v := New(t)
	r := request("GET", "/vm/"+vmID+"/ssh_key", "")
	answers := v.Errors(t, r)
	if len(answers) != 8 { // 400, 401, 403 twice, 404, 500, 5XX twice
		t.Errorf("got %+v", answers)
	}
	for _, a := range answers {
		status, err := strconv.Atoi(strings.Replace(a.Status, "5XX", "503", 1))
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {a.ContentType}}, Body: io.NopCloser(strings.NewReader(a.Body))}
		if err := v.ValidateResponse(r, resp); err != nil {
			t.Errorf("the example does not fit: %v", err)
		}
	}
}

// recorder notes whether a test would have failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
