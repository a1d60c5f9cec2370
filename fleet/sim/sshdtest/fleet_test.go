package sshdtest

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"golang.org/x/crypto/ssh"
)

func get(t *testing.T, f *Fleet, path, key string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.API.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}

func TestFleetOfRealServers(t *testing.T) {
	f := StartFleet(t, 4)
	marketing := f.VM("marketing")
	if marketing == nil || marketing != f.VM(marketingID) {
		t.Fatal("marketing is not there under its id")
	}
	for _, vm := range []*Server{f.VMs[0], marketing} {
		mustRun(t, vm, "echo "+vm.Name+" > ~/name; cat ~/name", vm.Name)
	}
	if f.VMs[0].HostKey() == marketing.HostKey() {
		t.Error("two VMs share a host key")
	}
	status, body := get(t, f, "/vms", f.API.Key)
	var list []struct {
		ID     string            `json:"vm_id"`
		State  string            `json:"state"`
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(body, &list); status != 200 || err != nil || len(list) != 4 {
		t.Fatalf("%d %s %v", status, body, err)
	}
	if list[3].ID != marketingID || list[3].State != "running" || list[3].Labels["name"] != "marketing" {
		t.Errorf("%+v", list[3])
	}
	status, body = get(t, f, "/vm/"+marketingID+"/ssh_key", f.API.Key)
	var key struct {
		Private string `json:"ssh_private_key"`
		Port    int    `json:"ssh_port"`
	}
	if err := json.Unmarshal(body, &key); status != 200 || err != nil || key.Port == 0 {
		t.Fatalf("%d, port %d, %v", status, key.Port, err)
	}
	if _, err := ssh.ParsePrivateKey([]byte(key.Private)); err != nil {
		t.Error(err)
	}
}

func TestAPIRefusalsAndOutage(t *testing.T) {
	f := StartFleet(t, 1)
	if status, body := get(t, f, "/vms", "wrong"); status != 403 || string(body) != "403 Forbidden" {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get(t, f, "/vm/"+marketingID+"/status", f.API.Key); status != 404 {
		t.Errorf("unknown VM: %d", status)
	}
	f.API.SetDown(true)
	if status, body := get(t, f, "/vms", f.API.Key); status != 503 || string(body) != "503 Service Unavailable" {
		t.Errorf("%d %s", status, body)
	}
	f.API.SetDown(false)
	f.API.SetState(f.VMs[0].VMID, "paused")
	if status, body := get(t, f, "/vm/"+f.VMs[0].VMID+"/metadata", f.API.Key); status != 200 || !json.Valid(body) {
		t.Errorf("%d %s", status, body)
	}
	for direct, want := range map[bool]string{false: nowhere, true: "127.0.0.1"} {
		f.API.SetDirect(direct)
		var meta struct{ IP string }
		_, body := get(t, f, "/vm/"+f.VMs[0].VMID+"/metadata", f.API.Key)
		if err := json.Unmarshal(body, &meta); err != nil || meta.IP != want {
			t.Errorf("direct %v: address %q, %v", direct, meta.IP, err)
		}
	}
	if n := len(f.API.Calls()); n != 6 {
		t.Errorf("%d calls counted: %v", n, f.API.Calls())
	}
}
