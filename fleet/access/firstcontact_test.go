package access_test

import (
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// keyOf is what keys list says of a VM.
func keyOf(t *testing.T, f *fleet.Fleet, id string) keys.Info {
	t.Helper()
	list, err := f.Keys.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if k.VMID == id {
			return k
		}
	}
	t.Fatalf("no key of %s", id)
	return keys.Info{}
}

// keysOnly records the keys of all VMs and no host key.
func keysOnly(t *testing.T, w *fleettest.World) {
	t.Helper()
	if _, err := w.Open().Sync(t.Context(), fleet.SyncOptions{NoHostKeys: true}); err != nil {
		t.Fatal(err)
	}
}

// A login proves that the VM takes the key, and nothing about the host key: met
// for the first time while nobody can vouch for it, it stays unconfirmed.
func TestFirstContactInAnOutageIsUnconfirmed(t *testing.T) {
	w := fleettest.New(t, 6)
	keysOnly(t, w)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	var warnings []string
	for _, mode := range []outage.Mode{outage.Offline, outage.AsAsked} {
		f := w.Open(fleettest.Heard(&warnings))
		conn, err := f.Access.Connect(t.Context(), vm, access.How{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		k := keyOf(t, f, vm.ID)
		if k.HostKey == "" || k.Key.ProvedAt.IsZero() {
			t.Fatalf("a login that worked left %+v", k)
		}
		if want := mode == outage.AsAsked; k.Confirmed != want {
			t.Errorf("mode %v: confirmed is %t, want %t", mode, k.Confirmed, want)
		}
	}
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, "unconfirmed") {
		t.Errorf("warned only of %q", text)
	}
}

// Without verified certificates nothing vouches for a VM: one that was never met
// is refused, and none is pinned in passing, until its host key is accepted by
// name.
func TestUnverifiedFrontVouchesForNothing(t *testing.T) {
	w := fleettest.New(t, 6)
	unverified := func(o *fleet.Options) { o.TLSVerify = false }
	if report, err := w.Open(unverified).Sync(t.Context(), fleet.SyncOptions{}); err != nil || report.HostKeys != 0 {
		t.Fatalf("sync pinned %d host keys, %v", report.HostKeys, err)
	}
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	_, err := w.Open(unverified).Access.Connect(t.Context(), vm, access.How{})
	var e *problem.Error
	if fleettest.AsError(err, &e); e.Kind != problem.Identity || !strings.Contains(e.Next, "keys accept-host marketing SHA256:") {
		t.Fatalf("first contact: %v (kind %s, next %q)", err, e.Kind, e.Next)
	}
	words := strings.Fields(e.Next)
	if err := w.Open(unverified).Access.AcceptHostKey(t.Context(), vm, words[len(words)-1]); err != nil {
		t.Fatal(err)
	}
	conn, err := w.Open(unverified).Access.Connect(t.Context(), vm, access.How{})
	if err != nil {
		t.Fatalf("after it was accepted: %v", err)
	}
	_ = conn.Close()
}
