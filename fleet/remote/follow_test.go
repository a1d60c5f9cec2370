package remote_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// Following a lieutenant survives that it cannot be reached again at once.
func TestFollowOutlivesFailedReconnects(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	waiting := make(chan struct{})
	var once sync.Once
	f := w.Open(fleettest.Offline, func(o *fleet.Options) {
		o.OnWait = func(outage.Waiting) func() {
			once.Do(func() { close(waiting) })
			return func() {}
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := errors.New("seen")
	first, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- f.Output.Follow(ctx, vm, func(e lieutenant.Event) error {
			switch {
			case bytes.Contains(e.Raw, []byte("before the cut")):
				close(first)
			case bytes.Contains(e.Raw, []byte("after the cut")):
				return done
			}
			return nil
		})
	}()
	write := func(mark string) {
		t.Helper()
		conn, err := w.Open(fleettest.Offline).Access.Connect(t.Context(), vm, access.How{})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Exec(t.Context(), `echo '{"type":"agent_start","mark":"`+mark+`"}' >> /tmp/pi-rpc/out`, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	write("before the cut")
	wait := func(c <-chan struct{}, what string) {
		t.Helper()
		select {
		case <-c:
		case err := <-ended:
			t.Fatalf("ended before %s: %v", what, err)
		}
	}
	wait(first, "the first event")
	w.Fault(sim.Fault{Kind: "gateway-down"})
	w.Sim.CutConnections()
	wait(waiting, "the second try")
	w.Sim.ClearFaults()
	write("after the cut")
	if err := <-ended; !errors.Is(err, done) {
		t.Fatal(err)
	}
}
