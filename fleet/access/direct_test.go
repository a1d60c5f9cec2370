package access_test

import (
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// A gateway that takes connections and says nothing does not keep a VM from
// being reached at its own address, which is tried while the gateway may still
// answer.
func TestSilentGateway(t *testing.T) {
	w := fleettest.New(t, 6)
	fleettest.Record(t, w)
	vm, err := w.Open().Inventory.One(t.Context(), "marketing")
	if err != nil {
		t.Fatal(err)
	}
	listen := func(serve func(net.Conn)) *net.TCPAddr {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go serve(c)
			}
		}()
		return l.Addr().(*net.TCPAddr)
	}
	var givenUp, tooLate atomic.Bool
	gateway := listen(func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		givenUp.Store(true)
	})
	through := w.Open()
	direct := listen(func(c net.Conn) {
		tooLate.Store(givenUp.Load())
		defer c.Close()
		_ = through.Access.Proxy(t.Context(), vm, c, c)
	})
	err = fleettest.OpenStore(t, w).UpdateRecord(vm.ID, func(r *keystore.Record) error {
		r.IP, r.SSHPort = direct.IP.String(), direct.Port
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := w.Open(func(o *fleet.Options) { o.VMGateway = gateway.String() }).Access.Connect(t.Context(), vm, access.How{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if at := conn.Info().Endpoint.Address; at != net.JoinHostPort("127.0.0.1", strconv.Itoa(direct.Port)) || tooLate.Load() {
		t.Errorf("connected to %s, after the gateway was given up: %t", at, tooLate.Load())
	}
}
