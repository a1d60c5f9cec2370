package sim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim/openapitest"
)

// TestAnswersAreAsDescribed holds every call of the simulator, and what it says
// to wrong ones, against the description of the API.
func TestAnswersAreAsDescribed(t *testing.T) {
	v := openapitest.New(t)
	s := start(t, Config{Still: true})
	server := httptest.NewServer(v.Handler(t, s.apiHandler()))
	defer server.Close()
	marketing, golden := "/vm/"+MarketingID, "/vm/"+s.VM("golden").ID()
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/vms", "", 200}, {"GET", "/vm", "", 200},
		{"GET", marketing + "/status", "", 200}, {"GET", marketing + "/metadata", "", 200}, {"GET", golden + "/metadata", "", 200},
		{"GET", marketing + "/ssh_key", "", 200}, {"GET", golden + "/ssh_key", "", 200}, {"GET", "/vm/" + unknownID + "/ssh_key", "", 404},
		{"POST", marketing + "/commit", `{"commit_id":"` + commitID + `","name":"n"}`, 201}, {"POST", golden + "/commit?keep_paused=true", `{}`, 201},
		{"POST", marketing + "/commit", `{"description":"d"}`, 201},
		{"GET", "/vm/commits/" + commitID + "/parents", "", 200}, {"GET", "/vm/commits/" + unknownID + "/parents", "", 404},
		{"GET", "/commits?limit=10&offset=0", "", 200},
		{"POST", marketing + "/branch?count=2", "", 201}, {"POST", "/vm/" + commitID + "/branch", "", 201}, {"POST", "/vm/" + unknownID + "/branch", "", 404},
		{"POST", "/vm/from_commit", `{"commit_id":"` + commitID + `"}`, 201},
		{"PATCH", marketing + "/state", `{"state":"Paused"}`, 200}, {"GET", marketing + "/status", "", 200},
		{"PATCH", marketing + "/state", `{"state":"Running"}`, 200}, {"PATCH", marketing + "/label", `{"labels":{"a":"b"}}`, 200},
		{"DELETE", golden, "", 200}, {"GET", golden + "/metadata", "", 200}, {"DELETE", golden, "", 403},
		{"GET", "/vm/xyz/status", "", 400}, {"GET", "/vm/xyz/metadata", "", 400}, {"GET", "/vm/xyz/ssh_key", "", 400}, {"GET", "/commits?limit=x", "", 400},
		{"POST", "/vm/xyz/commit", "{}", 400}, {"POST", "/vm/xyz/branch", "", 400}, {"POST", marketing + "/branch?count=0", "", 400}, {"DELETE", "/vm/xyz", "", 400},
		{"POST", marketing + "/commit", "", 415}, {"POST", marketing + "/commit", "{", 400}, {"POST", marketing + "/commit", `{"name":7}`, 422},
		{"POST", marketing + "/commit", `{"commit_id":"` + commitID + `"}`, 409}, {"POST", "/vm/" + unknownID + "/commit", "{}", 404},
		{"POST", "/vm/from_commit", "{}", 422}, {"POST", "/vm/from_commit", `{"tag_name":"none"}`, 404},
		{"PATCH", marketing + "/state", `{"state":"paused"}`, 422}, {"PATCH", marketing + "/label", "{}", 422}, {"PATCH", golden + "/label", `{"labels":{}}`, 404},
		{"PATCH", marketing + "/state", `{"state":"` + strings.Repeat("x", maxBody) + `"}`, 413},
	} {
		if status, text := ask(t, server.URL+"/api/v1"+c.path, c.method, s.APIKey(), c.body); status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, text, c.status)
		}
		if status, _ := ask(t, server.URL+c.path, c.method, "wrong", c.body); status != 403 {
			t.Errorf("%s %s with a wrong key: %d", c.method, c.path, status)
		}
	}
	if status, text := ask(t, server.URL+"/health", "GET", "", ""); status != 200 {
		t.Errorf("health: %d %s", status, text)
	}
	for _, fault := range []string{"503", "502", "500", "401", "403"} {
		f, err := ParseFault([]string{fault})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetFault(f); err != nil {
			t.Fatal(err)
		}
		if status, text := ask(t, server.URL+"/vms", "GET", s.APIKey(), ""); strconv.Itoa(status) != fault {
			t.Errorf("fault %s: %d %s", fault, status, text)
		}
		s.ClearFaults()
	}
}

// ask makes one call of the API.
func ask(t *testing.T, url, method, key, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}
