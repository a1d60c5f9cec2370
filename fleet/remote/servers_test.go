package remote_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// A server's banner is shown as OpenSSH shows it, harmless, unless -q was given.
func TestBanner(t *testing.T) {
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	w := fleettest.NewOf(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD, SSHD: sshd.Options{Config: []string{"Banner /root/banner"}}})
	fleettest.Record(t, w)
	if err := os.WriteFile(w.Sim.VM(sim.MarketingID).Root()+"/root/banner", []byte("Authorized\tuse only\n\x1b]0;owned\a\u202e\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		quiet bool
		want  string
	}{{false, "Authorized\tuse only\n\\x1b]0;owned\\x07\\u202e\n"}, {true, ""}} {
		var out, errOut bytes.Buffer
		o := remote.RunOptions{Command: "echo out", Stdout: &out, Stderr: &errOut, Quiet: c.quiet}
		if err := w.Open().Remote.Session(t.Context(), inventory.VM{ID: sim.MarketingID, Name: "marketing"}, o, nil); err != nil {
			t.Fatal(err)
		}
		if out.String() != "out\n" || errOut.String() != c.want {
			t.Errorf("quiet %t: stdout %q, stderr %q", c.quiet, out.String(), errOut.String())
		}
	}
}
