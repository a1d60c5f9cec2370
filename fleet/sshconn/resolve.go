package sshconn

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Limits of one dial: addresses per endpoint, and the time after which
// recorded addresses join in when the resolver has not answered.
const (
	maxAddresses = 8
	slowDNS      = 400 * time.Millisecond
)

// found is what a resolver goroutine reports: candidates to add to the race,
// or why there are none. last marks its final report.
type found struct {
	index      int // of the endpoint
	candidates []candidate
	err        *Error
	last       bool
}

// resolve reports the addresses of one endpoint. Recorded addresses are used
// when the resolver fails or is slow, and as a last resort after the
// resolver's own: its answer may come from a captive network.
func (d *Dialer) resolve(ctx context.Context, index int, e Endpoint, report func(found)) {
	host, port, err := net.SplitHostPort(e.Address)
	if err != nil {
		report(found{index: index, err: newError(StageConfig, e.Address, err), last: true})
		return
	}
	if e.Network != NetworkTLS && e.Network != NetworkTCP {
		report(found{index: index, err: newError(StageConfig, e.Address, ErrWrongKind), last: true})
		return
	}
	make1 := func(ips []netip.Addr) []candidate {
		var cs []candidate
		for _, ip := range ips {
			cs = append(cs, candidate{endpoint: e, host: host, ip: ip.String(), dial: net.JoinHostPort(ip.String(), port)})
		}
		return cs
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		report(found{index: index, candidates: make1([]netip.Addr{ip}), last: true})
		return
	}
	recorded := parseIPs(e.IPs)
	answer := d.lookupAsync(ctx, host)
	slow := time.NewTimer(slowDNS)
	defer slow.Stop()
	select {
	case a := <-answer:
		report(found{index: index, candidates: make1(merge(a.ips, recorded)), err: a.error(e, recorded), last: true})
		return
	case <-slow.C:
		if len(recorded) > 0 {
			report(found{index: index, candidates: make1(recorded)})
		}
	}
	a := <-answer
	fresh := slices.DeleteFunc(merge(a.ips, nil), func(ip netip.Addr) bool { return slices.Contains(recorded, ip) })
	report(found{index: index, candidates: make1(fresh), err: a.error(e, recorded), last: true})
}

type lookupAnswer struct {
	ips []netip.Addr
	err error
}

// error is nil when there is something to dial in spite of it.
func (a lookupAnswer) error(e Endpoint, recorded []netip.Addr) *Error {
	if a.err == nil || len(recorded) > 0 {
		return nil
	}
	return newError(StageDNS, e.Address, a.err)
}

func (d *Dialer) lookupAsync(ctx context.Context, host string) <-chan lookupAnswer {
	lookup := d.lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeouts.withDefaults().DNS)
	out := make(chan lookupAnswer, 1)
	go func() {
		defer cancel()
		ips, err := lookup(ctx, host)
		out <- lookupAnswer{ips: ips, err: err}
	}()
	return out
}

// merge puts the two families in turns, IPv6 first (RFC 8305 section 4), and
// appends the recorded addresses that are not among them.
func merge(ips, recorded []netip.Addr) []netip.Addr {
	var four, six, out []netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap()
		if ip.Is4() {
			four = append(four, ip)
		} else {
			six = append(six, ip)
		}
	}
	for i := range max(len(four), len(six)) {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) {
			out = append(out, four[i])
		}
	}
	for _, ip := range recorded {
		if !slices.Contains(out, ip) {
			out = append(out, ip)
		}
	}
	return out[:min(len(out), maxAddresses)]
}

func parseIPs(list []string) []netip.Addr {
	var ips []netip.Addr
	for _, s := range list {
		if ip, err := netip.ParseAddr(s); err == nil && len(ips) < maxAddresses {
			ips = append(ips, ip.Unmap())
		}
	}
	return ips
}
