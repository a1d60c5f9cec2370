package cmd

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// However much VMs print, what is kept of it in memory is bounded, and what is
// printed already is not kept; yet with --group all of it comes.
func TestExecGroupIsWhole(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
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
	want := "==> 0 <==\n" + strings.Repeat(strings.Repeat("x", out.most/2)+"\n", 3)
	for range 3 {
		if _, err := stdout.Write([]byte(strings.Repeat("x", out.most/2) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if k := out.kept[vms[0].ID]; k.stdout.mem.Len() > out.most {
		t.Errorf("%d bytes are in memory", k.stdout.mem.Len())
	}
	out.done(remote.ExecResult{VMID: vms[0].ID})
	if got := printed.String(); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	if len(out.kept) > 0 {
		t.Error("what was printed is kept")
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What is left out of JSON is told there and is an error.
func TestExecJSONSaysWhatIsCut(t *testing.T) {
	vm := inventory.VM{ID: "1", Name: "one"}
	s, told := ui.Fake(false, 0)
	env := NewEnv(s, func(string) string { return "" }, nil)
	env.format, _ = ui.ParseFormat("json", "", "")
	out := newExecOutput(env, []inventory.VM{vm}, false, func() {})
	out.most = 10
	stdout, stderr := out.streams(vm)
	_, _ = stdout.Write([]byte("123456789é"))
	_, _ = stderr.Write([]byte("ok"))
	r := remote.ExecResult{VMID: "1", VMName: "one"}
	out.done(r)
	err := out.finish([]remote.ExecResult{r})
	if problem.KindOf(err) != problem.Partial || !strings.Contains(told.Err.String(), "warning: one: only the first 10 B") {
		t.Errorf("%v, stderr %q", err, told.Err)
	}
	for _, want := range []string{`"stdout": "123456789"`, `"stderr": "ok"`, `"truncated": true`, `"stdout_bytes": 11`, `"stderr_bytes": 2`} {
		if !strings.Contains(told.Out.String(), want) {
			t.Errorf("no %s in %s", want, told.Out)
		}
	}
}
