package mcpserver

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// Whatever is called with whatever arguments: an answer of the protocol comes, no
// panic, no byte beside it, none of the secrets that are on the machine and on the
// VMs, and nothing but the root is written to. 10,000 calls under
// VERS_FLEET_TORTURE.
func TestFuzzedCalls(t *testing.T) {
	t.Parallel()
	calls := 100
	if os.Getenv("VERS_FLEET_TORTURE") != "" {
		calls = 10_000
	}
	w := fleettest.New(t, 6)
	fleettest.RecordAll(t, w)
	secrets := []string{w.Sim.APIKey()[36:]}
	for _, vm := range w.Sim.VMs() {
		key, err := vm.PrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, strings.Split(string(key), "\n")[2])
		dir := filepath.Join(vm.Root(), "root", "workspace")
		for name, text := range map[string]string{"id_ed25519": string(key), "notes": "key: " + w.Sim.APIKey() + "\n\x1b[2J\u202e" + canaryPEM} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := testOptions(t, w.Open())
	o.AllowChanges = true
	p := start(t, o)
	g := generator{rand.New(rand.NewPCG(18, 2026))}
	var list struct{ Tools []tool }
	if err := json.Unmarshal(p.ask("tools/list", map[string]any{}).Result, &list); err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		if i%50 == 25 {
			w.Fault(sim.Fault{Kind: "503"})
		} else if i%50 == 0 {
			w.Sim.ClearFaults()
		}
		m := p.ask(g.request(list.Tools))
		text := string(m.Result)
		if m.Error != nil {
			text = m.Error.Message
		}
		if l := leaks(text); l != "" || strings.Contains(text, "a panic of type") || strings.ContainsAny(text, "\x1b\u202e") {
			t.Fatalf("call %d: %s in %s", i, l, text)
		}
		if len(text) > 3*maxPart {
			t.Errorf("call %d: %d bytes", i, len(text))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		for _, s := range secrets {
			if strings.Contains(line, s) {
				t.Fatalf("a secret in %.500s", line)
			}
		}
	}
}

// generator makes calls, repeatably.
type generator struct{ *rand.Rand }

func (g generator) one(of ...any) any { return of[g.IntN(len(of))] }

// request is a call of a tool, seldom something else.
func (g generator) request(tools []tool) (method string, params any) {
	switch g.IntN(20) {
	case 0:
		return "resources/read", map[string]any{"uri": g.one("fleet://vm/"+fmt.Sprint(g.value("vm"))+"/output", "fleet://status", "x:", "")}
	case 1:
		return fmt.Sprint(g.one("nonsense", "prompts/get", "tools/list", "completion/complete")), g.one(map[string]any{"name": g.value("x")}, nil, map[string]any{})
	}
	t := tools[g.IntN(len(tools))]
	var schema struct{ Properties map[string]any }
	_ = json.Unmarshal(t.InputSchema, &schema) // of ours
	args := map[string]any{}
	for name := range schema.Properties {
		if g.IntN(10) > 2 || name == "vm" || name == "seconds" {
			args[name] = g.value(name)
		}
	}
	if g.IntN(15) == 0 {
		args[fmt.Sprint(g.value("x"))] = g.value("x")
	}
	return "tools/call", map[string]any{"name": g.one(t.Name, t.Name, t.Name, t.Name, t.Name, t.Name, t.Name, g.value("x")), "arguments": args}
}

// value is what an argument may be: mostly sensible.
func (g generator) value(name string) any {
	if g.IntN(12) == 0 {
		return g.one(nil, -1, 1e300, true, []any{}, map[string]any{"a": 1}, "", strings.Repeat("x", 5000), "\x00\x1b\u202e", "../../etc", "-rf", "$(id)", canaryKey)
	}
	switch name {
	case "vm":
		return g.one("marketing", "marketing", "chad-dev", sim.MarketingID, "nobody", "c8f9")
	case "vms", "paths":
		return g.one([]any{"marketing"}, []any{}, []any{"/root/workspace/"}, []any{"/nope"})
	case "path":
		return g.one("/root/workspace", "/root/workspace/notes", "/root/workspace/id_ed25519", "/root/workspace/*", "/nope", "/root/workspace/images")
	case "dest":
		return g.one("a", "a/b", "../x", "/tmp/x", ".", "mcp-answers")
	case "command":
		return g.one("cat /root/workspace/*", "cat /root/workspace/id_ed25519", "echo x", "exit 7", "cat /root/workspace/notes >&2", "true")
	case "seconds":
		return 1
	case "kind":
		return g.one("prompt", "steer", "follow_up", "abort", "answer")
	case "count", "history", "offset":
		return g.one(0, 1, 2, 100)
	case "ignore_paused", "usage":
		return g.one(true, false)
	}
	return g.one("x", "name=value", "running", "text\nof lines")
}
