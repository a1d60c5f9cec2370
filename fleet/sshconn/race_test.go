package sshconn

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// A bare address is not even asked while a slow way through TLS gets on: in
// another network it may be another host.
func TestBareAddressIsSpare(t *testing.T) {
	noLeaks(t)
	v, _ := far(t, startVM(t, sshd.Options{}), 200*time.Millisecond)
	slow := v.target.Endpoints[0]
	var asked atomic.Bool
	v.dialer.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == v.Addr {
			asked.Store(true)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	v.target.Endpoints = []Endpoint{{Network: NetworkTCP, Address: v.Addr}, slow}
	if got := v.dial(t).Info().Endpoint.Address; got != slow.Address || asked.Load() {
		t.Errorf("connected to %s, the bare address was asked: %t", got, asked.Load())
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	v.target.Endpoints[1].Address = closed.Addr().String()
	if got := v.dial(t).Info().Endpoint.Address; got != v.Addr {
		t.Errorf("connected to %s", got)
	}
}
