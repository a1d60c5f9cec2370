package sim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim/openapitest"
)

// TestPublishedAPI holds every answer of the simulator against the published
// OpenAPI document, where that is present.
func TestPublishedAPI(t *testing.T) {
	v := openapitest.New(t)
	s := start(t, Config{Still: true})
	if _, err := s.VM("golden").ListenSSH(); err != nil {
		t.Fatal(err)
	}
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
		{"POST", marketing + "/branch?count=2", "", 201}, {"POST", "/vm/branch/by_vm/" + MarketingID, "", 201},
		{"POST", "/vm/branch/by_commit/" + commitID, "", 201}, {"POST", "/vm/" + commitID + "/branch", "", 201}, {"POST", "/vm/" + unknownID + "/branch", "", 404},
		{"POST", "/vm/from_commit", `{"commit_id":"` + commitID + `"}`, 201}, {"POST", "/vm/new_root", `{"vm_config":{"labels":{"name":"fresh"}}}`, 201},
		{"PATCH", marketing + "/state", `{"state":"Paused"}`, 200}, {"GET", marketing + "/status", "", 200},
		{"PATCH", marketing + "/state", `{"state":"Running"}`, 200}, {"PATCH", marketing + "/label", `{"labels":{"a":"b"}}`, 200},
		{"POST", marketing + "/exec", `{"command":["echo","hi"],"exec_id":"` + commitID + `"}`, 200}, {"POST", marketing + "/exec", `{"command":["false"]}`, 200},
		{"GET", marketing + "/logs", "", 200}, {"DELETE", golden, "", 200}, {"GET", golden + "/metadata", "", 200}, {"DELETE", golden, "", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+"/api/v1"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.APIKey())
		if c.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != c.status {
			t.Errorf("%s %s: %d %s %v, want %d", c.method, c.path, resp.StatusCode, text, err, c.status)
		}
	}
}
