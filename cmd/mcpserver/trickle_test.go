package mcpserver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// A VM that says a byte now and then holds up its own calls alone, and is named
// when its time is over.
func TestTricklingVM(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.RecordAll(t, w)
	w.Fault(sim.Fault{Kind: "gateway-trickle", VM: sim.MarketingID})
	over := make(chan time.Time)
	w.Options.After = func(time.Duration) <-chan time.Time { return over }
	p := start(t, testOptions(t, w.Open(fleettest.Offline)))
	id := p.id()
	p.send(map[string]any{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": map[string]any{
		"name": "vm_exec", "arguments": map[string]any{"vm": "marketing", "command": "true"}}})
	if r := p.ok("vm_exec", map[string]any{"vm": "infra-ui", "command": "echo here"}); !strings.Contains(r["stdout"].(string), "here") {
		t.Error(r)
	}
	close(over)
	var late struct {
		Structured struct{ Error map[string]any } `json:"structuredContent"`
	}
	if err := json.Unmarshal(p.receive(id).Result, &late); err != nil {
		t.Fatal(err)
	}
	e := late.Structured.Error
	if e["kind"] != "unreachable" || !strings.Contains(e["message"].(string), "marketing") {
		t.Error(e)
	}
}
