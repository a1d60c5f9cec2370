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
	if m.seen[id] {
		return refuse("the bundle lists it twice; the first one counts")
	}
	m.seen[id] = true
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
		d := m.decide(local, in.Record)
		item.Action, item.Why = d.action, d.why
		if t == nil {
			return nil
		}
		return t.apply(local, d, in)
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

// decision is what becomes of one VM of a bundle.
type decision struct {
	next   Record
	action Action
	why    string
	beside bool // the key goes beside the current one instead of in its place
}

// decide compares a VM here with the one in a bundle.
func (m *merger) decide(local located, in Record) decision {
	here, d := local.rec, decision{next: local.rec.clone()}
	d.next.VMID = in.VMID
	clash := hostKeysClash(here, in)
	say := func(a Action, why string) decision {
		d.action, d.why = a, why
		return d
	}
	switch {
	case here.Version > recordVersion:
		return say(ActionKeep, "the record here was written by a newer version")
	case local.data == nil && m.removedSince(in):
		return say(ActionKeep, "the VM was removed here since")
	case local.data == nil && clash:
		return say(ActionRefuse, "its host key is not the one pinned here")
	case local.data == nil:
		d.take(in)
		if here.VMID == "" {
			d.next.GoneAt = in.GoneAt
		}
		return say(ActionAdd, "")
	case here.PublicKey == in.PublicKey:
		d.next.mergeFacts(in, clash)
		if sameFacts(here, d.next) {
			return say(ActionSame, "")
		}
		return say(ActionUpdate, "")
	case here.previousPublicKey() == in.PublicKey:
		return say(ActionSame, "it is kept beside the key here")
	case !newerThan(in, here, m.s.now()):
		return say(ActionKeep, "the key here is newer")
	case clash:
		return say(ActionRefuse, "its host key is not the one pinned here")
	}
	return m.decideOther(d, here, in)
}

// decideOther is decide for a key that claims to be newer than the other one
// here. None that more speaks for is given up for it.
func (m *merger) decideOther(d decision, here, in Record) decision {
	d.beside = here.rank() > 0 && !here.refused()
	lost := here.Previous.rank()
	if !d.beside && keepOlder(here, in.PublicKey) {
		lost = here.rank()
	}
	switch {
	case lost > 0:
		d.action, d.why = ActionKeep, "more speaks for the two keys here"
	case d.beside && here.Previous != nil && !newerThan(in, here.rolledBack(here.Previous), m.s.now()):
		d.action, d.why = ActionKeep, "a newer one is kept beside the key here"
	case d.beside:
		d.action, d.why = ActionUpdate, "kept beside the key here until it has logged in from this machine"
	default:
		d.action = ActionUpdate
		d.take(in)
	}
	return d
}

// take makes the bundle's key the current one.
func (d *decision) take(in Record) {
	d.next.Source, d.next.PublicKey = sourceImport, in.PublicKey
	d.next.FetchedAt, d.next.ReportedAt = in.FetchedAt, in.ReportedAt
	d.next.ProvedAt, d.next.RefusedAt = time.Time{}, time.Time{}
	d.next.mergeFacts(in, false)
}

// removedSince tells whether the VM was removed here after the bundle's record
// was last known to be right.
func (m *merger) removedSince(in Record) bool {
	at, _ := m.s.removals()
	removed, ok := at[in.VMID]
	return ok && !in.lastSeen(m.s.now()).After(removed)
}

// lastSeen is when the key was last known to be right, as far as anybody says;
// what lies in the future counts as now.
func (r Record) lastSeen(now time.Time) time.Time {
	var last time.Time
	for _, t := range []time.Time{r.FetchedAt, r.ProvedAt, r.ReportedAt} {
		if t.After(now) {
			t = now
		}
		if t.After(last) {
			last = t
		}
	}
	return last
}

// newerThan orders two keys of a VM in the same way on every machine.
func newerThan(a, b Record, now time.Time) bool {
	order := a.lastSeen(now).Compare(b.lastSeen(now))
	return order > 0 || order == 0 && a.PublicKey > b.PublicKey
}

// hostKeysClash tells whether the bundle knows other host keys than those
// confirmed here. One claim does not speak against another.
func hostKeysClash(local, in Record) bool {
	confirmed := slices.ContainsFunc(local.HostKeys, func(l HostKey) bool { return l.Confirmed })
	if !confirmed || len(in.HostKeys) == 0 {
		return false
	}
	return !slices.ContainsFunc(in.HostKeys, func(h HostKey) bool {
		return slices.ContainsFunc(local.HostKeys, func(l HostKey) bool { return l.Key == h.Key })
	})
}

// mergeFacts takes over what in knows beyond r about the same key.
func (r *Record) mergeFacts(in Record, clash bool) {
	if in.ReportedAt.After(r.ReportedAt) && in.PublicKey == r.PublicKey {
		r.ReportedAt = in.ReportedAt
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
	return a.ReportedAt.Equal(b.ReportedAt) && len(a.HostKeys) == len(b.HostKeys) &&
		len(a.HostNames) == len(b.HostNames) && len(a.Endpoints) == len(b.Endpoints) &&
		a.SSHPort == b.SSHPort && a.IP == b.IP
}

// apply writes what decide decided.
func (t *tx) apply(local located, d decision, in bundleVM) error {
	next := d.next
	if d.action != ActionAdd && d.action != ActionUpdate {
		return nil
	}
	if d.beside {
		return t.putBeside(next, in)
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
	rec := Record{VMID: next.VMID, PublicKey: public, Source: sourceImport, FetchedAt: p.FetchedAt, ReportedAt: p.ReportedAt}
	if err := t.writeKey(rec, located{}, []byte(in.PreviousKey)); err != nil {
		return located{}, err
	}
	return t.s.locate(next.VMID)
}

// putBeside records a bundle's key in the predecessor's place, where it is
// tried when the current one is refused.
func (t *tx) putBeside(next Record, in bundleVM) error {
	target, err := t.s.target()
	if err != nil {
		return err
	}
	data, ref, err := target.seal(filePrev, []byte(in.Key))
	if err != nil {
		return err
	}
	next.Previous = &PreviousKey{PublicKey: in.Record.PublicKey, Source: sourceImport,
		FetchedAt: in.Record.FetchedAt, ReportedAt: in.Record.ReportedAt, Files: []FileRef{ref}}
	b := &batch{t: t, id: next.VMID}
	defer b.discard()
	if err := b.addRecord(next); err != nil {
		return err
	}
	if err := b.add(ref.Name, data); err != nil {
		return err
	}
	if err := b.commit(1); err != nil {
		return err
	}
	_, err = t.repair(next.VMID) // takes what was there before away
	return err
}

// maxSkew is how far ahead another machine's clock may be.
const maxSkew = 10 * time.Minute

// sanitize keeps of a record from outside only what is well-formed, as claims.
// A time in the future would win over everything for ever: it becomes now, or
// nothing if no clock is that wrong.
func (m *merger) sanitize(in Record) Record {
	now := m.s.now()
	past := func(t time.Time) time.Time {
		switch {
		case t.After(now.Add(maxSkew)):
			return time.Time{}
		case t.After(now):
			return now
		}
		return t.UTC().Truncate(time.Second)
	}
	latest := func(a, b time.Time) time.Time {
		if a, b = past(a), past(b); a.After(b) {
			return a
		}
		return b
	}
	out := Record{VMID: in.VMID, PublicKey: in.PublicKey, FetchedAt: past(in.FetchedAt),
		ReportedAt: latest(in.ProvedAt, in.ReportedAt), GoneAt: past(in.GoneAt)}
	for _, h := range in.HostKeys {
		if key, ok := cleanHostKey(h.Key); ok && len(out.HostKeys) < maxHostKeys {
			out.HostKeys = append(out.HostKeys, HostKey{Key: key, FirstSeen: past(h.FirstSeen), Imported: true})
		}
	}
	out.HostNames = slices.DeleteFunc(slices.Clone(in.HostNames), func(n string) bool {
		return !validHostName(n) || !strings.Contains(n, in.VMID) // any other name is not its own
	})
	out.HostNames = out.HostNames[:min(len(out.HostNames), maxHostNames)]
	for _, e := range in.Endpoints {
		if e, ok := cleanEndpoint(e); ok && len(out.Endpoints) < maxEndpoints {
			e.WorkedAt = past(e.WorkedAt)
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
		out.Previous = &PreviousKey{PublicKey: p.PublicKey, FetchedAt: past(p.FetchedAt), ReportedAt: latest(p.ProvedAt, p.ReportedAt)}
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
