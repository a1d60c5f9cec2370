package keystore

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clean keeps of a record from outside only what is well-formed. Times in the
// future would win over everything for ever, so they become now.
func (m *merger) clean(in Record) Record {
	now := m.s.now()
	past := func(t *time.Time) {
		if t.After(now) {
			*t = now
		}
		*t = t.UTC().Truncate(time.Second)
	}
	out := Record{VMID: in.VMID, PublicKey: in.PublicKey, FetchedAt: in.FetchedAt, ProvedAt: in.ProvedAt, RefusedAt: in.RefusedAt, GoneAt: in.GoneAt}
	for _, t := range []*time.Time{&out.FetchedAt, &out.ProvedAt, &out.RefusedAt, &out.GoneAt} {
		past(t)
	}
	for _, h := range in.HostKeys {
		if key, ok := cleanHostKey(h.Key); ok && len(out.HostKeys) < maxHostKeys {
			past(&h.FirstSeen)
			out.HostKeys = append(out.HostKeys, HostKey{Key: key, FirstSeen: h.FirstSeen, Confirmed: h.Confirmed})
		}
	}
	out.HostNames = slices.DeleteFunc(slices.Clone(in.HostNames), func(n string) bool { return !validHostName(n) })
	out.HostNames = out.HostNames[:min(len(out.HostNames), maxHostNames)]
	for _, e := range in.Endpoints {
		if e, ok := cleanEndpoint(e); ok && len(out.Endpoints) < maxEndpoints {
			past(&e.WorkedAt)
			out.Endpoints = append(out.Endpoints, e)
		}
	}
	if in.SSHPort > 0 && in.SSHPort < 1<<16 {
		out.SSHPort = in.SSHPort
	}
	if ip, err := netip.ParseAddr(in.IP); err == nil {
		out.IP = ip.String()
	}
	if p := in.Previous; p != nil {
		out.Previous = &PreviousKey{PublicKey: p.PublicKey, Source: "import", FetchedAt: p.FetchedAt, ProvedAt: p.ProvedAt}
		past(&out.Previous.FetchedAt)
		past(&out.Previous.ProvedAt)
	}
	return out
}

func cleanEndpoint(e Endpoint) (Endpoint, bool) {
	colon := strings.LastIndexByte(e.Address, ':')
	n, err := strconv.ParseUint(e.Address[colon+1:], 10, 16)
	if colon < 1 || err != nil || n == 0 || !validHostName(e.Address[:colon]) || e.Network != "tls" && e.Network != "tcp" {
		return Endpoint{}, false
	}
	var ips []string
	for _, ip := range e.IPs[:min(len(e.IPs), 16)] {
		if a, err := netip.ParseAddr(ip); err == nil {
			ips = append(ips, a.String())
		}
	}
	e.IPs = ips
	return e, true
}
