package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// A bundle's host key that is wrong locks nobody out silently: in an outage the
// refusal says whose word it was; when the platform answers for the VM, what the
// VM shows takes the claim's place. What was not a bundle's claim stays.
func TestClaimedHostKeyIsWrong(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	shown := keyOf(t, w.Open(), vm.ID).HostKey
	_, other, err := sshd.NewKey("ed25519", "")
	if err != nil {
		t.Fatal(err)
	}
	store := fleettest.OpenStore(t, w)
	pin := func(k keystore.HostKey) {
		t.Helper()
		k.Key, k.FirstSeen = other, time.Now().UTC()
		if err := store.UpdateRecord(vm.ID, func(r *keystore.Record) error { r.HostKeys = []keystore.HostKey{k}; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(mode outage.Mode, change ...func(*fleet.Options)) *problem.Error {
		t.Helper()
		conn, err := w.Open(change...).Access.Connect(t.Context(), vm, access.How{Mode: mode})
		if err == nil {
			_ = conn.Close()
		}
		var e *problem.Error
		if fleettest.AsError(err, &e); e == nil || e.Kind != problem.Identity {
			t.Fatalf("mode %v: %v", mode, err)
		}
		for _, want := range []string{shown, sshconn.Fingerprint(other), "keys accept-host marketing " + shown} {
			if !strings.Contains(e.Why+" "+e.Next, want) {
				t.Errorf("mode %v: no %q in %q, %q", mode, want, e.Why, e.Next)
			}
		}
		return e
	}

	pin(keystore.HostKey{Imported: true})
	if e := refused(outage.Offline); !strings.Contains(e.Why, "came from a bundle and was never confirmed") {
		t.Errorf("offline: %q", e.Why)
	}
	refused(outage.AsAsked, func(o *fleet.Options) { o.TLSVerify = false })
	refused(outage.AsAsked, func(o *fleet.Options) { o.StrictSSH = true })
	pin(keystore.HostKey{Imported: true, Confirmed: true})
	refused(outage.AsAsked)
	pin(keystore.HostKey{})
	refused(outage.AsAsked)

	pin(keystore.HostKey{Imported: true})
	var warnings []string
	f := w.Open(fleettest.Heard(&warnings))
	conn, err := f.Access.Connect(t.Context(), vm, access.How{})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if k := keyOf(t, f, vm.ID); k.HostKey != shown || !k.Confirmed {
		t.Errorf("recorded: %+v", k)
	}
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, shown) || !strings.Contains(text, sshconn.Fingerprint(other)) {
		t.Errorf("warned of %q", text)
	}
	conn, err = w.Open().Access.Connect(t.Context(), vm, access.How{Mode: outage.Offline})
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	_ = conn.Close()
}
