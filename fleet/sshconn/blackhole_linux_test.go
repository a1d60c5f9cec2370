package sshconn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// Nothing but silence: it ends by the stage's deadline, and the error names the
// stage and all addresses.
func TestSilentAddresses(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	v.dialer.Timeouts.TCP = time.Second
	one, two, three := simtest.BlackHole(t, "127.0.0.1:0"), simtest.BlackHole(t, "127.0.0.2:0"), simtest.BlackHole(t, "127.0.0.3:0")
	v.target.Endpoints = []Endpoint{{Network: NetworkTLS, Address: one}, {Network: NetworkTCP, Address: two}, {Network: NetworkTCP, Address: three}}
	_, err := v.dialer.Dial(t.Context(), v.target)
	var e *Error
	if !errors.As(err, &e) || e.Stage != StageTCP || !e.Timeout || len(e.Others) != 2 {
		t.Fatal(err)
	}
	for _, address := range []string{one, two, three} {
		if !strings.Contains(err.Error(), "tcp "+address+": no answer in time") {
			t.Errorf("%s is not named: %v", address, err)
		}
	}
}

// DNS is down and the first recorded addresses are dead: another one serves
// without their deadline having to pass.
func TestSilentRecordedAddress(t *testing.T) {
	noLeaks(t)
	v := startVM(t, sshd.Options{})
	v.dialer.Timeouts.TCP = time.Hour
	_, port, err := net.SplitHostPort(v.TLSAddr)
	if err != nil {
		t.Fatal(err)
	}
	simtest.BlackHole(t, "127.0.0.2:"+port)
	simtest.BlackHole(t, "127.0.0.3:"+port)
	v.dialer.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no DNS") }
	v.target.Endpoints = []Endpoint{{Network: NetworkTLS, Address: net.JoinHostPort(v.ServerName, port), IPs: []string{"127.0.0.2", "127.0.0.3", "127.0.0.1"}}}
	c, err := v.dialer.Dial(within(t, time.Minute), v.target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if used := c.Info().Endpoint.IPs; len(used) != 1 || used[0] != "127.0.0.1" {
		t.Error(used)
	}
}
