package cmd

import (
	"io"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// However many VMs print however much, what is kept of it is bounded, what is
// missing is said, and what is printed already is not kept.
func TestExecOutputIsBounded(t *testing.T) {
	vms := make([]inventory.VM, 1000)
	for n := range vms {
		vms[n].ID = itoa(n)
	}
	var printed strings.Builder
	out := newExecOutput(&Env{Streams: &ui.Streams{Out: &printed, Err: io.Discard}}, vms, true, func() {})
	if out.most*len(vms) > maxKeptAll {
		t.Errorf("%d bytes of each of %d VMs", out.most, len(vms))
	}
	stdout, _ := out.streams(vms[0])
	for range 3 {
		if _, err := stdout.Write([]byte(strings.Repeat("x", out.most/2))); err != nil {
			t.Fatal(err)
		}
	}
	out.done(remote.ExecResult{VMID: vms[0].ID})
	if text := printed.String(); strings.Count(text, "x") != out.most || !strings.Contains(text, "x\n["+ui.Bytes(int64(out.most/2))+" left out]\n") {
		t.Errorf("%d bytes, ending in %q", len(text), text[max(0, len(text)-40):])
	}
	if len(out.kept) > 0 {
		t.Error("what was printed is kept")
	}
}
