package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestHostileVMList(t *testing.T) {
	entries := []string{
		vmJSON("../../x", ""), vmJSON(`\u001b[2J`, ""), `null`, `7`, `"vm"`, `[]`, `{}`, `{"vm_id":{"a":1}}`,
		vmJSON(vmA, `,"labels":{"name":"a\u001b[31mb","n":1,"nil":null,"":"x","o":{},"ok":"fine"}`),
		vmJSON(strings.ToUpper(vmA), ""),
		`{"vm_id":"` + vmB + `","owner_id":"root","created_at":"yesterday","state":"Defragmenting\u0007","labels":[1]}`,
	}
	c, s := client(t, answering(t, 200, "application/json", "["+strings.Join(entries, ",")+"]").URL, nil)
	vms, err := c.VMs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)
	want := []VM{{vmA, owner, at, StateRunning, map[string]string{"name": "a[31mb", "ok": "fine"}}, {ID: vmB, State: "defragmenting"}}
	if !reflect.DeepEqual(vms, want) {
		t.Errorf("got %+v\nwant %+v", vms, want)
	}
	if len(s.warned) != maxWarnings+1 || !strings.Contains(s.warned[0], `"../../x" is not valid`) || !strings.Contains(s.warned[maxWarnings], "more") {
		t.Errorf("warned of %q", s.warned)
	}
	for _, line := range s.warned {
		if strings.ContainsAny(line, "\x1b\n\a") {
			t.Errorf("unclean warning %q", line)
		}
	}
}

// TestNoVMOfMany: a list full of things that are no VMs is not an empty fleet.
func TestNoVMOfMany(t *testing.T) {
	c, _ := client(t, answering(t, 200, "application/json", `[{"id":1},{"id":2}]`).URL, nil)
	_, err := c.VMs(t.Context())
	failure(t, err, KindNotVers)
}

func TestTimesOfTheServer(t *testing.T) {
	want := time.Date(2026, 2, 24, 3, 20, 0, 5e8, time.UTC)
	for in, ok := range map[string]bool{
		"2026-02-24T03:20:00.5Z": true, "2026-02-24T04:20:00.5+01:00": true, "2026-02-24 03:20:00.5+00": true, "2026-02-24 03:20:00.5+00:00": true,
		"2026-02-24T03:20:00.5": true, " 2026-02-24 03:20:00.500000 ": true, "": false, "1771903200": false, "2026-02-30T00:00:00Z": false,
	} {
		got, valid := text(in).time()
		if valid != ok || ok && !got.Equal(want) {
			t.Errorf("%q: got %s, %v", in, got, valid)
		}
	}
}

// answerCase is an answer with status 200 that is not as it should be.
type answerCase struct {
	name, answer string
	run          func(context.Context, *Client) (any, error)
	want         Kind // 0: usable
	warn         string
	value        any
}

func TestOddAnswers(t *testing.T) {
	status := func(ctx context.Context, c *Client) (any, error) { return c.Status(ctx, vmA) }
	metadata := func(ctx context.Context, c *Client) (any, error) { return c.Metadata(ctx, vmA) }
	key := func(ctx context.Context, c *Client) (any, error) { k, err := c.SSHKey(ctx, vmA); return k.Port, err }
	parents := func(ctx context.Context, c *Client) (any, error) {
		p, err := c.CommitParents(ctx, commitA)
		return len(p), err
	}
	branch := func(ctx context.Context, c *Client) (any, error) {
		ids, err := c.Branch(ctx, vmA, 2)
		return len(ids), err
	}
	pause := func(ctx context.Context, c *Client) (any, error) { return nil, c.SetState(ctx, vmA, StatePaused) }
	commit := func(ctx context.Context, c *Client) (any, error) {
		return c.Commit(ctx, vmA, CommitRequest{CommitID: commitA})
	}
	pem := fmt.Sprintf("%q", testPEM())
	for _, c := range []answerCase{
		{"another VM", vmJSON(vmB, ""), status, KindMismatch, "", VM{}},
		{"no id", `{"state":"running"}`, status, KindNotVers, "", VM{}},
		{"state missing", `{"vm_id":"` + vmA + `","created_at":"2026-02-24T03:20:00Z"}`, status, 0, "state", VM{ID: vmA, State: StateUnknown, CreatedAt: time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)}},
		{"metadata of another VM", vmJSON(vmB, ""), metadata, KindMismatch, "", Metadata{}},
		{"port as text", `{"ssh_private_key":` + pem + `,"ssh_port":"x"}`, key, 0, "port", 0},
		{"port missing", `{"ssh_private_key":` + pem + `}`, key, 0, "port", 0},
		{"port out of range", `{"ssh_private_key":` + pem + `,"ssh_port":70000}`, key, 0, "port", 0},
		{"no key", `{"ssh_port":22}`, key, KindNotVers, "", 0},
		{"key is a page", `{"ssh_private_key":"<html>","ssh_port":22}`, key, KindNotVers, "", 0},
		{"other commit confirmed", `{"commit_id":"` + vmB + `"}`, commit, KindMismatch, "", vmB},
		{"nothing confirmed", `{}`, commit, KindNotVers, "", ""},
		{"commit answered with a list", `[]`, commit, KindNotVers, "", ""},
		{"parents of another", `[{"id":"` + vmB + `"}]`, parents, KindMismatch, "", 0},
		{"no parents", `[]`, parents, KindNotVers, "", 0},
		{"first parent unreadable", `[7,{"id":"` + commitA + `","created_at":"2026-02-24T03:20:00Z"}]`, parents, KindNotVers, "", 0},
		{"second parent unreadable", `[{"id":"` + commitA + `","created_at":"2026-02-24T03:20:00Z"},{"id":"../x"}]`, parents, 0, "../x", 1},
		{"branch with a remark", `{"vms":[{"vm_id":"` + vmA + `"}],"error":"one failed"}`, branch, 0, "one failed", 1},
		{"branch refused", `{"vms":[],"error":"no capacity"}`, branch, KindInvalid, "", 0},
		{"branch without ids", `{"vms":[{"vm_id":"../x"}]}`, branch, KindNotVers, "", 0},
		{"branch without list", `{}`, branch, KindNotVers, "", 0},
		{"state change answered with text", `hello`, pause, KindNotVers, "", nil},
		{"state change answered with JSON", `{"success":true}`, pause, 0, "", nil},
		{"state change refused with 200", `{"error":"booting","success":false}`, pause, KindInvalid, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, s := client(t, answering(t, 200, "", c.answer).URL, nil)
			v, err := c.run(t.Context(), cl)
			if c.want == 0 && err != nil {
				t.Fatal(err)
			}
			if c.want != 0 && !failure(t, err, c.want).Sent {
				t.Error("not marked as sent")
			}
			if warned := strings.Join(s.warned, "\n"); !strings.Contains(warned, c.warn) || (c.warn == "") != (c.want != 0 || warned == "") && c.want == 0 {
				t.Errorf("warned of %q", warned)
			}
			if !reflect.DeepEqual(v, c.value) {
				t.Errorf("got %+v, want %+v", v, c.value)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	entry := `{"id":"` + vmA + `","name":"mark\u001beting","role":"lieutenant","address":"fd00::7","metadata":{"a":"b","n":1},"lastSeen":7}`
	want := []RegistryVM{{ID: vmA, Name: "marketing", Role: "lieutenant"}}
	for _, answer := range []string{`{"vms":[` + entry + `,{"id":"local-x"}]}`, `[` + entry + `]`} {
		s, got := recording(t, 200, answer)
		cl, _ := client(t, "http://api.example", nil)
		vms, err := cl.RegistryVMs(t.Context(), s.URL+"/infra/", "registry-token")
		if err != nil || !reflect.DeepEqual(vms, want) {
			t.Errorf("got %+v, %v", vms, err)
		}
		if got.line != "GET /infra/registry/vms" || got.header.Get("Authorization") != "Bearer registry-token" {
			t.Errorf("sent %s, %v", got.line, got.header)
		}
	}
	cl, _ := client(t, "http://api.example", nil)
	_, err := cl.RegistryVMs(t.Context(), answering(t, 404, "", "nothing here").URL, "t")
	if e := failure(t, err, KindNotVers); !strings.Contains(e.Hint, "registry") {
		t.Errorf("got hint %q", e.Hint)
	}
	_, err = cl.RegistryVMs(t.Context(), "file:///etc/passwd", "t")
	failure(t, err, KindInvalid)
	_, err = cl.RegistryVMs(t.Context(), "http://127.0.0.1:1", "two words")
	failure(t, err, KindInvalid)
}

// Where there is no registry, the lists of a newer orchestrator serve.
func TestNewerOrchestrator(t *testing.T) {
	tree := `{"vms":[{"vmId":"` + vmA + `","name":"marketing","category":"lieutenant","status":"running","lastHeartbeat":1771900000000},` +
		`{"vmId":"` + vmB + `","name":"old","category":"agent_vm","status":"destroyed"},{"id":"` + vmB + `","vmId":"local-x","name":"x"}],"count":3}`
	lieutenants := `{"lieutenants":[{"id":"01JA","vmId":"` + vmA + `","name":"marketing","role":"","status":"working","lastActivityAt":"2026-02-24T03:20:00Z"}],"count":1}`
	at := time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		serve map[string]string
		want  []RegistryVM
	}{
		{"both", map[string]string{"/vm-tree/vms": tree, "/lieutenants": lieutenants}, []RegistryVM{{vmA, "marketing", "lieutenant", "working", at}}},
		{"only the tree", map[string]string{"/vm-tree/vms": tree}, []RegistryVM{{vmA, "marketing", "lieutenant", "running", time.UnixMilli(1771900000000).UTC()}}},
		{"only lieutenants", map[string]string{"/lieutenants": lieutenants}, []RegistryVM{{vmA, "marketing", "lieutenant", "working", at}}},
		{"a registry too", map[string]string{"/registry/vms": `[]`, "/lieutenants": lieutenants}, []RegistryVM{}},
		{"nothing", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, has := tt.serve[r.URL.Path]
				if !has {
					http.NotFound(w, r)
				}
				if r.Header.Get("Authorization") != "Bearer t" {
					t.Errorf("sent %v", r.Header)
				}
				_, _ = io.WriteString(w, body)
			}))
			defer s.Close()
			cl, _ := client(t, "http://api.example", nil)
			got, err := cl.RegistryVMs(t.Context(), s.URL, "t")
			if !reflect.DeepEqual(got, tt.want) || (err == nil) != (tt.want != nil) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
