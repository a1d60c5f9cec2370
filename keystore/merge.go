package keystore

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// vm merges one VM of a bundle.
func (m *merger) vm(in bundleVM) error {
	id := in.Record.VMID
	item := PlanItem{What: "key", VMID: id}
	refuse := func(why string) error {
		item.Action, item.Why = ActionRefuse, why
		m.add(item)
		return nil
	}
	if !validID(id) {
		item.VMID = ""
		return refuse("its VM id is malformed")
	}
	public, err := m.s.o.ParseKey([]byte(in.Key))
	if err != nil || len(in.Key) > maxKey/2 {
		return refuse("its key is not a usable private key")
	}
	if public != in.Record.PublicKey {
		return refuse("its key is not the one its record names")
	}
	in.Record = m.sanitize(in.Record)
	return m.merge(in, item)
}

func (m *merger) merge(in bundleVM, item PlanItem) error {
	work := func(t *tx, local located) error {
		next, action, why := decide(local, in.Record)
		item.Action, item.Why = action, why
		if t == nil {
			return nil
		}
		return t.apply(local, next, action, in)
	}
	var err error
	if m.o.DryRun {
		local, lerr := m.s.locate(item.VMID)
		if err = lerr; err == nil || IsNotFound(err) || KindOf(err) == KindDamaged {
			err = work(nil, local)
		}
	} else {
		err = m.s.keysTx(func(t *tx) error {
			local, err := t.locateOrRepair(item.VMID)
			if err != nil && !IsNotFound(err) {
				return err
			}
			return work(t, local)
		})
	}
	switch KindOf(err) {
	case "", KindFull, KindReadOnly, KindIO, KindLocked:
		if err != nil {
			return err
		}
	default: // something about this VM alone
		item.Action, item.Why = ActionRefuse, err.Error()
	}
	m.add(item)
	return nil
}

// decide compares a VM here with the one in a bundle. Nothing newer is ever
// overwritten, and a pinned host key stays.
func decide(local located, in Record) (next Record, a Action, why string) {
	next = local.rec.clone()
	if local.rec.Version > recordVersion {
		return next, ActionKeep, "the record here was written by a newer version"
	}
	clash := hostKeysClash(local.rec, in)
	next.VMID = in.VMID
	switch {
	case local.data == nil && clash:
		return next, ActionRefuse, "its host key is not the one pinned here"
	case local.data == nil:
		a = ActionAdd
	case local.rec.PublicKey == in.PublicKey:
		next.mergeFacts(in, clash)
		if sameFacts(local.rec, next) {
			return next, ActionSame, ""
		}
		return next, ActionUpdate, ""
	case !in.lastSeen().After(local.rec.lastSeen()):
		return next, ActionKeep, "the key here is newer"
	case clash:
		return next, ActionRefuse, "its host key is not the one pinned here"
	default:
		a = ActionUpdate
	}
	next.Source, next.PublicKey = "import", in.PublicKey
	next.FetchedAt, next.ProvedAt, next.RefusedAt = in.FetchedAt, in.ProvedAt, in.RefusedAt
	next.mergeFacts(in, false)
	if a == ActionAdd && local.rec.VMID == "" {
		next.GoneAt = in.GoneAt
	}
	return next, a, ""
}

// lastSeen is when the key was last known to be right.
func (r Record) lastSeen() time.Time {
	if r.ProvedAt.After(r.FetchedAt) {
		return r.ProvedAt
	}
	return r.FetchedAt
}

func hostKeysClash(local, in Record) bool {
	if len(local.HostKeys) == 0 || len(in.HostKeys) == 0 {
		return false
	}
	return !slices.ContainsFunc(in.HostKeys, func(h HostKey) bool {
		return slices.ContainsFunc(local.HostKeys, func(l HostKey) bool { return l.Key == h.Key })
	})
}

// mergeFacts takes over what in knows beyond r about the same key.
func (r *Record) mergeFacts(in Record, clash bool) {
	if in.ProvedAt.After(r.ProvedAt) && in.PublicKey == r.PublicKey {
		r.ProvedAt = in.ProvedAt
	}
	if len(r.HostKeys) == 0 && !clash {
		r.HostKeys = in.HostKeys
	}
	for _, n := range in.HostNames {
		if !slices.Contains(r.HostNames, n) && len(r.HostNames) < maxHostNames {
			r.HostNames = append(r.HostNames, n)
		}
	}
	for _, e := range in.Endpoints {
		known := slices.ContainsFunc(r.Endpoints, func(o Endpoint) bool { return o.Network == e.Network && o.Address == e.Address })
		if !known && len(r.Endpoints) < maxEndpoints {
			r.Endpoints = append(r.Endpoints, e)
		}
	}
	if r.SSHPort == 0 {
		r.SSHPort = in.SSHPort
	}
	if r.IP == "" {
		r.IP = in.IP
	}
}

// sameFacts compares what mergeFacts may change.
func sameFacts(a, b Record) bool {
	return a.ProvedAt.Equal(b.ProvedAt) && len(a.HostKeys) == len(b.HostKeys) &&
		len(a.HostNames) == len(b.HostNames) && len(a.Endpoints) == len(b.Endpoints) &&
		a.SSHPort == b.SSHPort && a.IP == b.IP
}

// apply writes what decide decided.
func (t *tx) apply(local located, next Record, a Action, in bundleVM) error {
	if a != ActionAdd && a != ActionUpdate {
		return nil
	}
	if local.data != nil && local.rec.PublicKey == next.PublicKey {
		if err := t.mark(vmDir(next.VMID)); err != nil {
			return err
		}
		if err := t.putRecord(next); err != nil {
			return err
		}
		return t.updateKnownHosts(local.rec, next)
	}
	if local.data == nil && in.PreviousKey != "" && in.Record.Previous != nil {
		var err error
		if local, err = t.addPrevious(next, in); err != nil {
			return err
		}
	}
	if err := t.writeKey(next, local, []byte(in.Key)); err != nil {
		return err
	}
	return t.updateKnownHosts(local.rec, next)
}

// addPrevious records a bundle's predecessor first, so that writing the key
// after it makes it the predecessor here as well. A broken one is left out.
func (t *tx) addPrevious(next Record, in bundleVM) (located, error) {
	p := in.Record.Previous
	public, err := t.s.o.ParseKey([]byte(in.PreviousKey))
	if err != nil || public != p.PublicKey || public == next.PublicKey {
		return located{}, nil
	}
	rec := Record{VMID: next.VMID, PublicKey: public, Source: "import", FetchedAt: p.FetchedAt, ProvedAt: p.ProvedAt}
	if err := t.writeKey(rec, located{}, []byte(in.PreviousKey)); err != nil {
		return located{}, err
	}
	return t.s.locate(next.VMID)
}

// sanitize keeps of a record from outside only what is well-formed. Times in the
// future would win over everything for ever, so they become now.
func (m *merger) sanitize(in Record) Record {
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
