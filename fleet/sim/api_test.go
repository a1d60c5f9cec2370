package sim

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	unknownID = "00000000-0000-4000-8000-000000000001"
	commitID  = "11111111-1111-4111-8111-111111111111"
)

func TestErrorBodies(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := "/vm/" + MarketingID
	for _, c := range []struct {
		name, key, method, path, body string
		status                        int
		ctype, want                   string
	}{
		{"wrong key", "wrong", "GET", "/vms", "", 403, "", "403 Forbidden"},
		{"no key", "", "GET", vm + "/ssh_key", "", 403, "", "403 Forbidden"},
		{"malformed id", "ok", "GET", "/vm/xyz/status", "", 400, "", "Invalid URL"},
		{"unknown vm", "ok", "GET", "/vm/" + unknownID + "/status", "", 404, "application/json", `{"error":"vm not found: ` + unknownID + `","success":false}`},
		{"unknown key", "ok", "GET", "/vm/" + unknownID + "/ssh_key", "", 404, "application/json", `"success":false`},
		{"unknown metadata", "ok", "GET", "/vm/" + unknownID + "/metadata", "", 404, "application/json", `"success":false`},
		{"delete unknown", "ok", "DELETE", "/vm/" + unknownID, "", 403, "application/json", `"success":false`},
		{"branch unknown", "ok", "POST", "/vm/" + unknownID + "/branch", "", 404, "application/json", `{"vms":[],"error":`},
		{"commit unknown", "ok", "POST", "/vm/" + unknownID + "/commit", "{}", 404, "application/json", `"success":false`},
		{"commit without body", "ok", "POST", vm + "/commit", "", 415, "text/plain; charset=utf-8", "Content-Type"},
		{"commit bad json", "ok", "POST", vm + "/commit", "{", 400, "text/plain; charset=utf-8", "Failed to parse"},
		{"commit bad type", "ok", "POST", vm + "/commit", `{"name":7}`, 422, "text/plain; charset=utf-8", "Failed to deserialize"},
		{"commit bad id", "ok", "POST", vm + "/commit", `{"commit_id":"x"}`, 422, "text/plain; charset=utf-8", "commit_id"},
		{"parents unknown", "ok", "GET", "/vm/commits/" + unknownID + "/parents", "", 404, "application/json", "commit not found"},
		{"state bad", "ok", "PATCH", vm + "/state", `{"state":"paused"}`, 422, "text/plain; charset=utf-8", "Paused"},
		{"from nothing", "ok", "POST", "/vm/from_commit", `{}`, 422, "text/plain; charset=utf-8", "FromCommitVmRequest"},
		{"no such path", "ok", "GET", "/nothing", "", 404, "", ""},
		{"wrong method", "ok", "PUT", "/vms", "", 405, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := c.key
			if key == "ok" {
				key = s.APIKey()
			}
			r := callKey(t, s, key, c.method, c.path, c.body)
			if r.status != c.status || r.ctype != c.ctype || !strings.Contains(r.body, c.want) || (c.want == "" && r.body != "") {
				t.Errorf("got %d %q %q", r.status, r.ctype, r.body)
			}
		})
	}
}

func TestFleet(t *testing.T) {
	s := start(t, Config{Still: true})
	vms := decodeBody[[]vmBody](t, call(t, s, "GET", "/vms", ""))
	lieutenants := 0
	for _, vm := range vms {
		if vm.Labels["role"] == "lieutenant" {
			lieutenants++
		}
		if vm.OwnerID != s.APIKey()[:36] || vm.State != StateRunning {
			t.Errorf("vm %+v", vm)
		}
	}
	if len(vms) != 12 || lieutenants != 6 || s.VM("marketing").ID() != MarketingID {
		t.Errorf("%d VMs, %d lieutenants, marketing is %s", len(vms), lieutenants, s.VM("marketing").ID())
	}
	resp, err := http.Get(s.HostURL() + "/health")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("health: %v %v", resp, err)
	}
	_ = resp.Body.Close()
	meta := decodeBody[metadataBody](t, call(t, s, "GET", "/vm/"+MarketingID+"/metadata", ""))
	if meta.State != StateRunning || !strings.Contains(meta.IP, "::") {
		t.Errorf("metadata %+v", meta)
	}
	first := call(t, s, "GET", "/vm/"+MarketingID+"/ssh_key", "").body
	if again := call(t, s, "GET", "/vm/"+MarketingID+"/ssh_key", "").body; again != first {
		t.Error("the key is not stable")
	}
}

func TestCommits(t *testing.T) {
	s := start(t, Config{Still: true})
	body := fmt.Sprintf(`{"commit_id":%q,"name":"n","description":"d"}`, commitID)
	path := "/vm/" + MarketingID + "/commit"
	var wg sync.WaitGroup
	statuses := make([]int, 10)
	for i := range statuses {
		wg.Go(func() { statuses[i] = call(t, s, "POST", path, body).status })
	}
	wg.Wait()
	made := 0
	for _, status := range statuses {
		switch status {
		case 201:
			made++
		case 409:
		default:
			t.Errorf("status %d", status)
		}
	}
	if commits := s.Commits(); made != 1 || len(commits) != 1 || commits[0].VM != MarketingID {
		t.Errorf("%d made, recorded %+v", made, commits)
	}
	parents := decodeBody[[]commitBody](t, call(t, s, "GET", "/vm/commits/"+commitID+"/parents", ""))
	if len(parents) != 1 || parents[0].ID != commitID || *parents[0].ParentVM != MarketingID {
		t.Errorf("parents %+v", parents)
	}
	restored := decodeBody[newVM](t, call(t, s, "POST", "/vm/from_commit", `{"commit_id":"`+commitID+`"}`))
	branched := decodeBody[map[string][]newVM](t, call(t, s, "POST", "/vm/"+restored.VMID+"/branch?count=2", ""))
	if len(branched["vms"]) != 2 || len(s.VMs()) != 15 {
		t.Errorf("branched %+v, now %d VMs", branched, len(s.VMs()))
	}
	marketing, child := s.VM("marketing"), s.VM(branched["vms"][0].VMID)
	parentKey, _ := marketing.HostKey()
	if childKey, _ := child.HostKey(); childKey != parentKey {
		t.Error("a branched VM has another host key than its parent")
	}
	list := decodeBody[struct {
		Commits []commitBody
		Total   int
	}](t, call(t, s, "GET", "/commits?limit=1", ""))
	if len(list.Commits) != 1 || list.Total != 2 {
		t.Errorf("commits %+v", list)
	}
}

func TestStates(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := "/vm/" + s.VM("chad-dev").ID()
	if r := call(t, s, "PATCH", vm+"/state", `{"state":"Paused"}`); r.status != 200 || r.body != "" {
		t.Errorf("pause: %+v", r)
	}
	if got := decodeBody[vmBody](t, call(t, s, "GET", vm+"/status", "")); got.State != StatePaused {
		t.Errorf("state %+v", got)
	}
	if r := call(t, s, "PATCH", vm+"/state", `{"state":"Running"}`); r.status != 200 {
		t.Errorf("resume: %+v", r)
	}
	if r := call(t, s, "PATCH", vm+"/label", `{"labels":{"team":"x"}}`); r.status != 200 {
		t.Errorf("label: %+v", r)
	}
	if r := call(t, s, "DELETE", vm, ""); r.status != 200 {
		t.Errorf("delete: %+v", r)
	}
	if r := call(t, s, "GET", vm+"/status", ""); r.status != 404 {
		t.Errorf("deleted: %+v", r)
	}
	calls := s.Calls()
	if last := calls[len(calls)-1]; last.Status != 404 || last.Endpoint != "status" || !last.AnyKey || last.Method != "GET" {
		t.Errorf("last call %+v", last)
	}
}

func TestManyVMsStartFast(t *testing.T) {
	before := time.Now()
	s := start(t, Config{VMs: 10_000, Still: true})
	if took := time.Since(before); took > 15*time.Second {
		t.Errorf("10,000 VMs took %s", took)
	}
	if vms := decodeBody[[]vmBody](t, reply{body: mustBody(t, s)}); len(vms) != 10_000 {
		t.Errorf("%d VMs", len(vms))
	}
}

// mustBody reads the whole list, which is longer than call reads.
func mustBody(t *testing.T, s *Sim) string {
	t.Helper()
	w := newRecorder()
	s.getVMs(w, nil)
	return w.body.String()
}
