package mcpserver

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tool is one of the list.
type tool struct {
	Name         string          `json:"name"`
	Annotations  map[string]any  `json:"annotations"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema"`
}

func listTools(t *testing.T, change func(*Options)) ([]tool, json.RawMessage) {
	t.Helper()
	o := testOptions(t, nil)
	change(&o)
	m := start(t, o).ask("tools/list", map[string]any{})
	var list struct{ Tools []tool }
	if err := json.Unmarshal(m.Result, &list); err != nil {
		t.Fatal(err)
	}
	return list.Tools, m.Result
}

func names(list []tool) string {
	var out []string
	for _, t := range list {
		out = append(out, t.Name)
	}
	return strings.Join(out, " ")
}

// The list of tools is a promise, and is paid for in every conversation.
// UPDATE_GOLDEN=1 writes it anew.
func TestToolsGolden(t *testing.T) {
	t.Parallel()
	all, raw := listTools(t, func(o *Options) { o.AllowChanges = true })
	if tokens := len(raw) / 4; tokens > 5000 {
		t.Errorf("the list of tools costs about %d tokens", tokens)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", "tools.json")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("tools/list is not what %s has (%v); UPDATE_GOLDEN=1 writes it", path, err)
	}
	for _, tool := range all {
		for _, hint := range []string{"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"} {
			if _, ok := tool.Annotations[hint].(bool); !ok {
				t.Errorf("%s does not say its %s", tool.Name, hint)
			}
		}
		if bytes.Contains(tool.OutputSchema, []byte(`"additionalProperties"`)) || bytes.Contains(tool.OutputSchema, []byte(`"null"`)) {
			t.Errorf("%s: %s", tool.Name, tool.OutputSchema)
		}
		if !bytes.Contains(tool.InputSchema, []byte(`"additionalProperties":false`)) {
			t.Errorf("%s takes whatever it is given: %s", tool.Name, tool.InputSchema)
		}
		if strings.HasPrefix(tool.Name, "vm_") && !bytes.Contains(tool.InputSchema, []byte(`"required":["vm"`)) {
			t.Errorf("%s does not name its VM: %s", tool.Name, tool.InputSchema)
		}
	}
}

// Each mode registers its tools and no other.
func TestModes(t *testing.T) {
	t.Parallel()
	const reading = "fleet_drill fleet_status fleet_vms queue_list vm_diff vm_list_files vm_output vm_read_file vm_status vm_wait"
	const usual = "fleet_drill fleet_status fleet_vms queue_list queue_run vm_commit vm_diff vm_exec vm_list_files vm_output vm_pull vm_read_file vm_send vm_status vm_wait vm_write_file"
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.ReadOnly = true }, reading},
		{func(*Options) {}, usual},
		{func(o *Options) { o.ReadOnly, o.Root = true, "" }, strings.Replace(reading, " vm_diff", "", 1)},
		{func(o *Options) { o.Tools = []string{"vm_output", "fleet_vms"} }, "fleet_vms vm_output"},
	} {
		list, _ := listTools(t, c.change)
		if got := names(list); got != c.want {
			t.Errorf("offered: %s\nwant:    %s", got, c.want)
		}
	}
	all, _ := listTools(t, func(o *Options) { o.AllowChanges = true })
	for _, name := range []string{"vm_pause", "vm_resume", "vm_branch"} {
		if !slices.ContainsFunc(all, func(t tool) bool { return t.Name == name }) {
			t.Errorf("%s is not offered with AllowChanges", name)
		}
	}
	readOnly, _ := listTools(t, func(o *Options) { o.ReadOnly = true })
	for _, tool := range readOnly {
		if tool.Annotations["readOnlyHint"] != true || tool.Annotations["destructiveHint"] != false {
			t.Errorf("%s: %v", tool.Name, tool.Annotations)
		}
	}
	for _, name := range []string{"vm_exec", "nonsense"} {
		o := testOptions(t, nil)
		o.ReadOnly, o.Tools = true, []string{"fleet_vms", name}
		if _, err := New(o); problem.KindOf(err) != problem.Usage {
			t.Errorf("%s with --read-only: %v", name, err)
		}
	}
}

// In an outage everything but what only the API can do works on, and says so.
func TestOutage(t *testing.T) {
	t.Parallel()
	w, p := world(t)
	if got := p.ok("fleet_vms", nil); got["source"] != "live" {
		t.Error(got)
	}
	w.Fault(sim.Fault{Kind: "503"})
	vms := p.ok("fleet_vms", nil)
	if vms["source"] != "cache" || vms["outage"] == nil || vms["total"] != 6.0 {
		t.Error(vms)
	}
	for _, vm := range vms["vms"].([]any) {
		if vm.(map[string]any)["key_saved"] != true {
			t.Error(vm)
		}
	}
	if s := p.ok("fleet_status", nil); s["api"].(map[string]any)["state"] != "down" || s["advice"] == "" {
		t.Error(s)
	}
	if d := p.ok("fleet_drill", nil); d["lost"] != 0.0 {
		t.Error(d)
	}
	if got := p.ok("vm_diff", map[string]any{"vm": "marketing"}); got["state"] != "different" || got["missing"] == 0.0 || len(got["differences"].([]any)) == 0 {
		t.Error(got)
	}
	pulled := p.ok("vm_pull", map[string]any{"vm": "marketing"})
	if pulled["files"].(float64) == 0 || pulled["verified"] != "sha256" {
		t.Error(pulled)
	}
	if got := p.ok("vm_diff", map[string]any{"vm": "marketing"}); got["state"] != "same" || got["same"] == 0.0 || len(got["differences"].([]any)) != 0 {
		t.Error(got)
	}
	c := p.ok("vm_commit", map[string]any{"vm": "marketing", "name": "n"})
	if again := p.ok("vm_commit", map[string]any{"vm": "marketing", "name": "n"}); c["status"] != "queued" || again["commit_id"] != c["commit_id"] {
		t.Error(c, again)
	}
	if q := p.ok("queue_list", nil)["commits"].([]any); len(q) != 1 {
		t.Error(q)
	}
	if kind := p.kind("queue_run", nil); kind != "queued" {
		t.Error(kind)
	}
	w.Sim.ClearFaults()
	w.Forget()
	if done := p.ok("queue_run", nil)["commits"].([]any); len(done) != 1 || done[0].(map[string]any)["status"] != "committed" || len(w.Sim.Commits()) != 1 {
		t.Error(done)
	}
	if q := p.ok("queue_list", nil)["commits"]; len(q.([]any)) != 0 {
		t.Error(q)
	}
}

// What a tool does on a VM, and how it says what was wrong.
func TestWork(t *testing.T) {
	t.Parallel()
	w, p := world(t)
	vm := func(more ...any) map[string]any {
		m := map[string]any{"vm": "marketing"}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	if r := p.ok("vm_exec", vm("command", "echo hi; echo oops >&2; exit 3")); r["exit_status"] != 3.0 || r["stdout"] != "hi\n" || r["stderr"] != "oops\n" || r["untrusted"] != true {
		t.Error(r)
	}
	if r := p.ok("vm_exec", vm("command", "cat", "stdin", "through")); r["stdout"] != "through" {
		t.Error(r)
	}
	p.ok("vm_write_file", vm("path", "/root/workspace/new/a b.md", "content", "hello ✓\n"))
	if r := p.ok("vm_read_file", vm("path", "/root/workspace/new/a b.md")); r["text"] != "hello ✓\n" {
		t.Error(r)
	}
	if r := p.ok("vm_list_files", vm("path", "/root/workspace/new")); r["total"] != 1.0 || r["files"].([]any)[0].(map[string]any)["name"] != "a b.md" {
		t.Error(r)
	}
	if r := p.ok("vm_list_files", vm("path", "/root/workspace/new/a b.md")); r["total"] != 1.0 || r["files"].([]any)[0].(map[string]any)["size"] != 10.0 {
		t.Error(r)
	}
	if left, _ := filepath.Glob(filepath.Join(w.Home, "..", "*", "root", wholeFolder, ".send-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if r := p.ok("vm_status", vm("usage", true)); r["phase"] == "" || r["usage"] == nil {
		t.Error(r)
	}
	if r := p.ok("vm_output", vm()); r["text"] == "" || r["as_of"] == nil || r["source"] != "live" {
		t.Error(r)
	}
	for _, c := range []struct {
		tool string
		args map[string]any
		kind string
	}{
		{"vm_exec", map[string]any{"vm": "nobody", "command": "ls"}, "not_found"},
		{"vm_exec", map[string]any{"vm": "", "command": "ls"}, "usage"},
		{"vm_exec", map[string]any{"command": "ls"}, "usage"},
		{"vm_exec", vm("comand", "ls"), "usage"},
		{"vm_exec", vm("command", ""), "usage"},
		{"vm_commit", map[string]any{"vm": ""}, "usage"},
		{"vm_read_file", vm("path", "/nope"), "not_found"},
		{"vm_list_files", vm("path", "/nope"), "not_found"},
		{"vm_write_file", vm("path", "relative", "content", ""), "usage"},
		{"vm_send", vm("message", "x", "kind", "shout"), "usage"},
		{"vm_send", vm("kind", "abort", "message", "x"), "usage"},
		{"vm_send", vm("message", "x", "kind", "answer"), "usage"},
		{"vm_pull", vm("dest", "../out"), "usage"},
		{"vm_pull", vm("dest", "/tmp"), "usage"},
		{"vm_diff", vm("dest", "../out"), "usage"},
		{"vm_diff", vm("dest", ""), "usage"},
		{"vm_pull", vm("paths", []string{""}), "usage"},
		{"vm_read_file", vm("path", ""), "usage"},
		{"vm_list_files", vm("path", ""), "usage"},
		{"fleet_drill", map[string]any{"vms": []string{""}}, "usage"},
		{"fleet_vms", map[string]any{"state": ""}, "usage"},
		{"fleet_vms", map[string]any{"label": "x"}, "usage"},
	} {
		if got := p.kind(c.tool, c.args); got != c.kind {
			t.Errorf("%s %v: %s, want %s", c.tool, c.args, got, c.kind)
		}
	}
	if r := p.ok("fleet_vms", map[string]any{"label": "no=such"}); len(r["vms"].([]any)) != 0 {
		t.Error(r)
	}
}

// Every answer fits the schema that its tool declares.
func TestAnswersFitTheirSchemas(t *testing.T) {
	t.Parallel()
	_, p := world(t)
	list, _ := listTools(t, func(*Options) {})
	for _, tool := range list {
		var s jsonschema.Schema
		if err := json.Unmarshal(tool.OutputSchema, &s); err != nil {
			t.Fatal(err)
		}
		fits, err := s.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range []map[string]any{{}, {"vm": "nobody"}, {"vm": "marketing", "path": "/root/workspace/brief.md"}, {"vm": "marketing", "command": "true"}, {"vm": "marketing", "seconds": 1}} {
			r := p.call(tool.Name, args)
			if err := fits.Validate(r.Structured); err != nil {
				t.Errorf("%s %v: %v", tool.Name, args, err)
			}
		}
	}
}

// No link leads out of the root, whoever made it.
func TestPullStaysBelowTheRoot(t *testing.T) {
	t.Parallel()
	w := fleettest.New(t, 6)
	fleettest.RecordAll(t, w)
	o := testOptions(t, w.Open())
	outside := t.TempDir()
	if err := os.MkdirAll(o.Root, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"marketing", "out", wholeFolder} {
		if err := os.Symlink(outside, filepath.Join(o.Root, link)); err != nil {
			t.Skip(err)
		}
	}
	p := start(t, o)
	for _, args := range []map[string]any{{"vm": "marketing"}, {"vm": "marketing", "dest": "out"}, {"vm": "marketing", "dest": "out/deeper"}} {
		for _, tool := range []string{"vm_pull", "vm_diff"} {
			if kind := p.kind(tool, args); kind != "usage" {
				t.Errorf("%s %v: %s", tool, args, kind)
			}
		}
	}
	if kind := p.kind("vm_write_file", map[string]any{"vm": "marketing", "path": "/root/x", "content": "x"}); kind != "usage" {
		t.Error(kind)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside the root: %v, %v", left, err)
	}
}
