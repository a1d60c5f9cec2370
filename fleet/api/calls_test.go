package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/openapitest"
)

// received is a request as the server saw it.
type received struct {
	line, body string
	header     http.Header
	request    *http.Request
}

// recording answers everything with one body and keeps the last request.
func recording(t *testing.T, status int, answer string) (*httptest.Server, *received) {
	t.Helper()
	got := &received{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = received{r.Method + " " + r.URL.RequestURI(), string(body), r.Header, r.Clone(context.WithoutCancel(r.Context()))}
		got.request.Body = io.NopCloser(strings.NewReader(string(body)))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	return s, got
}

// call is one row of the table of all calls: what goes out, what comes back.
type callCase struct {
	name   string
	status int
	answer string
	run    func(context.Context, *Client) (any, error)
	line   string // below /api/v1
	body   string
	want   any
}

func allCalls() []callCase {
	at := time.Date(2026, 2, 24, 3, 20, 0, 0, time.UTC)
	commit := `"owner_id":"` + owner + `","name":"n","description":null,"is_public":true,"created_at":"2026-02-24T03:20:00Z","parent_vm_id":"` + vmA + `"`
	wantCommit := Commit{ID: commitA, ParentVMID: vmA, Name: "n", CreatedAt: at}
	pem := testPEM()
	pemJSON, _ := json.Marshal(pem)
	return []callCase{
		{"vms", 200, "[" + vmJSON(vmA, `,"labels":{"name":"marketing"},"new_field":[1,{}]`) + "," + vmJSON(vmB, `,"labels":null`) + "]",
			func(ctx context.Context, c *Client) (any, error) { return c.VMs(ctx) }, "GET /vms", "",
			[]VM{{vmA, owner, at, StateRunning, map[string]string{"name": "marketing"}}, {vmB, owner, at, StateRunning, nil}}},
		{"empty fleet", 200, "[]", func(ctx context.Context, c *Client) (any, error) { return c.VMs(ctx) }, "GET /vms", "", []VM{}},
		{"status", 200, vmJSON(vmA, ""), func(ctx context.Context, c *Client) (any, error) { return c.Status(ctx, vmA) },
			"GET /vm/" + vmA + "/status", "", VM{vmA, owner, at, StateRunning, nil}},
		{"metadata", 200, vmJSON(vmA, `,"deleted_at":null,"ip":"fd00::7","parent_commit_id":"`+commitA+`","grandparent_vm_id":"`+vmB+`"`),
			func(ctx context.Context, c *Client) (any, error) { return c.Metadata(ctx, vmA) }, "GET /vm/" + vmA + "/metadata", "",
			Metadata{IP: netip.MustParseAddr("fd00::7")}},
		{"ssh key", 200, `{"ssh_private_key":` + string(pemJSON) + `,"ssh_port":2201}`,
			func(ctx context.Context, c *Client) (any, error) { return c.SSHKey(ctx, vmA) }, "GET /vm/" + vmA + "/ssh_key", "",
			SSHKey{[]byte(pem), 2201}},
		{"commit", 201, `{"commit_id":"` + commitA + `"}`, func(ctx context.Context, c *Client) (any, error) {
			return c.Commit(ctx, vmA, CommitRequest{CommitID: commitA, Name: "n", Description: "d", KeepPaused: true})
		}, "POST /vm/" + vmA + "/commit?keep_paused=true", `{"commit_id":"` + commitA + `","name":"n","description":"d"}`, commitA},
		{"commit, all left to the server", 201, `{"commit_id":"` + strings.ToUpper(commitA) + `"}`, func(ctx context.Context, c *Client) (any, error) {
			return c.Commit(ctx, vmA, CommitRequest{})
		}, "POST /vm/" + vmA + "/commit", `{}`, commitA},
		{"commit parents", 200, `[{"id":"` + commitA + `",` + commit + `},{"id":"` + vmB + `",` + commit + `}]`,
			func(ctx context.Context, c *Client) (any, error) {
				p, err := c.CommitParents(ctx, commitA)
				if err != nil {
					return nil, err
				}
				return p[0], nil
			},
			"GET /vm/commits/" + commitA + "/parents", "", wantCommit},
		{"commits", 200, `{"commits":[{"commit_id":"` + commitA + `",` + commit + `}],"total":1,"limit":100,"offset":0}`,
			func(ctx context.Context, c *Client) (any, error) {
				list, more, err := c.Commits(ctx)
				return []any{list, more}, err
			}, "GET /commits?limit=100&offset=0", "", []any{[]Commit{wantCommit}, false}},
		{"branch", 201, `{"vms":[{"vm_id":"` + vmA + `"},{"vm_id":"` + vmB + `"}]}`,
			func(ctx context.Context, c *Client) (any, error) { return c.Branch(ctx, vmA, 2) },
			"POST /vm/" + vmA + "/branch?count=2", "", []string{vmA, vmB}},
		{"pause", 200, "", func(ctx context.Context, c *Client) (any, error) { return nil, c.SetState(ctx, vmA, StatePaused) },
			"PATCH /vm/" + vmA + "/state", `{"state":"Paused"}`, nil},
		{"resume", 200, "", func(ctx context.Context, c *Client) (any, error) { return nil, c.SetState(ctx, vmA, StateRunning) },
			"PATCH /vm/" + vmA + "/state", `{"state":"Running"}`, nil},
	}
}

func TestCalls(t *testing.T) {
	for _, c := range allCalls() {
		t.Run(c.name, func(t *testing.T) {
			s, got := recording(t, c.status, c.answer)
			cl, said := client(t, s.URL+"/api/v1/", func(cfg *Config, _ *hooks) { cfg.UserAgent = "vers-fleet/1.2" })
			v, err := c.run(t.Context(), cl)
			if err != nil || !reflect.DeepEqual(v, c.want) {
				t.Errorf("got %v, %v\nwant %v", v, err, c.want)
			}
			if line := strings.Replace(got.line, "/api/v1", "", 1); line != c.line || got.body != c.body {
				t.Errorf("sent %s with %s, want %s with %s", line, got.body, c.line, c.body)
			}
			if got.header.Get("Authorization") != "Bearer "+testKey || got.header.Get("User-Agent") != "vers-fleet/1.2" ||
				(c.body != "") != (got.header.Get("Content-Type") == "application/json") {
				t.Errorf("headers: %v", got.header)
			}
			if len(said.warned) != 0 {
				t.Errorf("warned of %q", said.warned)
			}
		})
	}
}

// TestCallsAreAsDescribed holds what the client sends, and what these tests take
// for an answer, against the description of the API; and the client must tell
// apart every form of error that is described.
func TestCallsAreAsDescribed(t *testing.T) {
	v := openapitest.New(t)
	for _, c := range allCalls() {
		t.Run(c.name, func(t *testing.T) {
			s, got := recording(t, c.status, c.answer)
			cl, _ := client(t, s.URL+"/api/v1", nil)
			if _, err := c.run(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
			if err := v.ValidateRequest(got.request); err != nil {
				t.Error(err)
			}
			resp := &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(c.answer))}
			if err := v.ValidateResponse(got.request, resp); err != nil {
				t.Error(err)
			}
			for _, a := range v.Errors(t, got.request) {
				status, err := strconv.Atoi(strings.Replace(a.Status, "XX", "03", 1))
				if err != nil {
					t.Fatal(err)
				}
				cl, _ := client(t, answering(t, status, strings.TrimPrefix(a.ContentType, "text/plain"), a.Body).URL, nil)
				_, err = c.run(t.Context(), cl)
				if e := failure(t, err, describedKind(status)); e.Status != status {
					t.Errorf("%+v: got status %d", a, e.Status)
				}
			}
		})
	}
}

// describedKind is what each status of the description means to the client.
func describedKind(status int) Kind {
	switch status {
	case 401, 403:
		return KindAuth
	case 404:
		return KindNotFound
	case 409:
		return KindConflict
	case 400, 413, 422, 415:
		return KindInvalid
	}
	return KindUnavailable
}

// TestRefusedBeforeSending: nothing wrong leaves this machine.
func TestRefusedBeforeSending(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) })
	c, _ := client(t, s.URL, nil)
	ctx := t.Context()
	errs := map[string]error{}
	for _, id := range []string{"", "../../x", "marketing", strings.ToUpper(vmA), vmA + "/..", vmA[:35] + "\n"} {
		_, errs["status "+id] = c.Status(ctx, id)
		_, errs["key "+id] = c.SSHKey(ctx, id)
		_, errs["parents "+id] = c.CommitParents(ctx, id)
		_, errs["commit "+id] = c.Commit(ctx, id, CommitRequest{})
	}
	_, errs["commit id"] = c.Commit(ctx, vmA, CommitRequest{CommitID: "latest"})
	_, errs["branch none"] = c.Branch(ctx, vmA, 0)
	errs["state"] = c.SetState(ctx, vmA, StateDead)
	for name, err := range errs {
		e := failure(t, err, KindInvalid)
		if e.Sent || !e.Retry.Unsent || e.Retry.Transient || e.Kind.Unreachable() || strings.Contains(e.Error(), "..") {
			t.Errorf("%s: got %+v", name, e)
		}
	}
}
