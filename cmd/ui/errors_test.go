package ui

import (
	"encoding/json"
	"testing"
)

func TestShowError(t *testing.T) {
	v := ErrorView{
		Kind: "unreachable", Message: "cannot reach marketing", Why: "the VM is paused\x1b[2J", Next: "vers-fleet resume marketing",
		Origin: "ssh", Retryable: true, ExitCode: 6,
	}
	s, b := Fake(false, 0)
	s.ShowError(v, false)
	want := "vers-fleet: cannot reach marketing\n  why:  the VM is paused\\x1b[2J\n  next: vers-fleet resume marketing\n"
	if got := b.Err.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	s, b = Fake(true, 80)
	s.ShowError(v, true)
	var got map[string]map[string]any
	if err := json.Unmarshal(b.Err.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, b.Err)
	}
	e := got["error"]
	if len(got) != 1 || len(e) != 7 || e["exit_code"] != 6.0 || e["retryable"] != true || e["why"] != v.Why || e["origin"] != "ssh" {
		t.Errorf("unexpected %v", got)
	}
	if b.Out.Len() != 0 {
		t.Error("stdout was written to")
	}
}
