package keystore

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
)

// maxEndpoints is how many addresses of a VM are remembered.
const maxEndpoints = 8

// UpdateRecord changes a VM's record under the lock; a VM without one gets
// one. What describes the keys (PublicKey, KeyFiles) cannot be changed here;
// setting Previous to nil drops the predecessor. An fn that changes nothing
// writes nothing; an error of fn is returned as it is.
func (s *Store) UpdateRecord(id string, fn func(*Record) error) error {
	if err := checkID("write record", id); err != nil {
		return err
	}
	return s.keysTx(func(t *tx) error { return t.updateRecord(id, fn) })
}

func (t *tx) updateRecord(id string, fn func(*Record) error) error {
	old, err := t.locateOrRepair(id)
	if err != nil && !IsNotFound(err) {
		return err
	}
	rec := old.rec.clone()
	rec.VMID = id
	if err := fn(&rec); err != nil {
		return err
	}
	restoreOwn(&rec, old.rec, id)
	if old.rec.VMID != "" && reflect.DeepEqual(rec, old.rec) {
		return nil
	}
	if old.rec.Version > recordVersion {
		return newer(t.s.path(vmDir(id), fileRecord))
	}
	if err := t.mark(vmDir(id)); err != nil {
		return err
	}
	if err := t.putRecord(rec); err != nil {
		return err
	}
	if old.rec.Previous != nil && rec.Previous == nil {
		for _, name := range []string{filePrev, filePrev + ageSuffix} {
			if err := t.remove(filepath.Join(vmDir(id), name)); err != nil {
				return err
			}
		}
	}
	return t.updateKnownHosts(old.rec, rec)
}

// restoreOwn undoes changes to what belongs to the store.
func restoreOwn(rec *Record, old Record, id string) {
	rec.VMID, rec.Version = id, old.Version
	rec.PublicKey, rec.KeyFiles, rec.Replaced = old.PublicKey, old.KeyFiles, old.Replaced
	if rec.Previous != nil {
		rec.Previous = old.Previous
	}
}

// Proved records that a login worked: with which key (its authorized_keys
// line), through which endpoint, and the host key behind it; confirmed says
// whether anybody vouched for that host key, as a login by itself does not. The
// predecessor of a key that has worked is dropped; a key that only a bundle
// claimed becomes the current one. When nothing is new it only reads, so it may
// be called after every login.
func (s *Store) Proved(id, publicKey string, endpoint Endpoint, hostKey string, confirmed bool) error {
	if err := checkID("write record", id); err != nil {
		return err
	}
	now := s.now()
	endpoint.WorkedAt = now
	note := func(r *Record) error {
		switch {
		case publicKey == "":
		case publicKey == r.PublicKey:
			r.ProvedAt, r.RefusedAt, r.Previous = now, time.Time{}, nil
		case publicKey == r.previousPublicKey():
			p := *r.Previous
			p.ProvedAt = now
			r.Previous = &p
		}
		r.promote(endpoint)
		r.pin(hostKey, confirmed, now)
		return nil
	}
	if rec, err := s.Record(id); err != nil {
		return err
	} else if !s.worthRecording(rec, publicKey, endpoint, hostKey, confirmed) {
		return nil
	} else if publicKey == rec.previousPublicKey() && rec.Previous.rank() == 0 {
		return s.keysTx(func(t *tx) error { return t.promoteClaim(id, note) })
	}
	return s.UpdateRecord(id, note)
}

// promoteClaim makes the key beside the current one, with which a login has
// just worked for the first time, the current one. note records the login.
func (t *tx) promoteClaim(id string, note func(*Record) error) error {
	old, err := t.locateOrRepair(id)
	p := old.rec.Previous
	if err != nil || p == nil || p.rank() > 0 || old.rec.Version > recordVersion {
		return t.updateRecord(id, note) // somebody else was faster, or it says what is wrong
	}
	next := old.rec.clone().rolledBack(p)
	next.Previous = nil
	data, ref, err := t.s.findFile(id, p.Files, nil)
	if err != nil {
		return t.updateRecord(id, note)
	}
	pem, err := t.s.unseal(id, located{next, ref, data})
	if err != nil {
		return t.updateRecord(id, note)
	}
	if err := note(&next); err != nil {
		return err
	}
	if err := t.writeKey(next, old, pem); err != nil {
		return err
	}
	return t.updateKnownHosts(old.rec, next)
}

// worthRecording tells whether a login that worked is worth a write.
func (s *Store) worthRecording(r Record, publicKey string, e Endpoint, hostKey string, confirmed bool) bool {
	fresh := func(at time.Time) bool { return s.now().Sub(at).Abs() < freshFor }
	if publicKey == r.PublicKey && (!fresh(r.ProvedAt) || !r.RefusedAt.IsZero() || r.Previous != nil) {
		return true
	}
	if r.Previous != nil && publicKey == r.Previous.PublicKey && !fresh(r.Previous.ProvedAt) {
		return true
	}
	if e.Address != "" && (len(r.Endpoints) == 0 || !r.Endpoints[0].same(e) || !fresh(r.Endpoints[0].WorkedAt)) {
		return true
	}
	return hostKey != "" && !slices.ContainsFunc(r.HostKeys, func(h HostKey) bool { return h.Key == hostKey && (h.Confirmed || !confirmed) })
}

// same tells whether two endpoints are one address with the same IPs.
func (e Endpoint) same(o Endpoint) bool {
	return e.Network == o.Network && e.Address == o.Address && (len(o.IPs) == 0 || slices.Equal(e.IPs, o.IPs))
}

// promote puts e first among the endpoints.
func (r *Record) promote(e Endpoint) {
	if e.Address == "" {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(r.Endpoints), func(o Endpoint) bool {
		if o.Network != e.Network || o.Address != e.Address {
			return false
		}
		if len(e.IPs) == 0 {
			e.IPs = o.IPs
		}
		return true
	})
	r.Endpoints = append([]Endpoint{e}, rest...)
	r.Endpoints = r.Endpoints[:min(len(r.Endpoints), maxEndpoints)]
}

// Limits on what one VM may add to its record.
const (
	maxHostKeys  = 16
	maxHostNames = 32
)

// PinHostKey records a host key ("ssh-ed25519 AAAA...") of a VM and the names
// it is listed under in known_hosts; without names that is the VM's id. It
// adds and confirms, and never replaces: whether a second key is acceptable is
// the caller's decision. Nothing new is written twice.
func (s *Store) PinHostKey(id, key string, confirmed bool, aliases []string) error {
	if err := checkID("pin host key", id); err != nil {
		return err
	}
	key, ok := cleanHostKey(key)
	if !ok {
		return invalid("pin host key", "what came for VM %s is not a host key", id)
	}
	for _, a := range aliases {
		if !validHostName(a) {
			return invalid("pin host key", "%.60q is not a host name", a)
		}
	}
	now := s.now()
	pin := func(r *Record) error {
		r.pin(key, confirmed, now)
		for _, a := range aliases {
			if !slices.Contains(r.HostNames, a) && len(r.HostNames) < maxHostNames {
				r.HostNames = append(slices.Clone(r.HostNames), a)
			}
		}
		return nil
	}
	if rec, err := s.Record(id); err == nil && pinned(rec, key, confirmed, aliases) {
		return nil
	}
	return s.UpdateRecord(id, pin)
}

func pinned(r Record, key string, confirmed bool, aliases []string) bool {
	has := slices.ContainsFunc(r.HostKeys, func(h HostKey) bool {
		return h.Key == key && (h.Confirmed || !confirmed)
	})
	for _, a := range aliases {
		has = has && slices.Contains(r.HostNames, a)
	}
	return has
}

// pin adds or confirms one host key; a malformed one is ignored.
func (r *Record) pin(key string, confirmed bool, now time.Time) {
	key, ok := cleanHostKey(key)
	if !ok {
		return
	}
	r.HostKeys = slices.Clone(r.HostKeys)
	for i := range r.HostKeys {
		if r.HostKeys[i].Key == key {
			r.HostKeys[i].Confirmed = r.HostKeys[i].Confirmed || confirmed
			return
		}
	}
	if len(r.HostKeys) < maxHostKeys {
		r.HostKeys = append(r.HostKeys, HostKey{Key: key, FirstSeen: now, Confirmed: confirmed})
	}
}

// cleanHostKey returns "type base64" without a comment, if that is what key
// looks like. It ends up in known_hosts, so nothing else may pass.
func cleanHostKey(key string) (string, bool) {
	f := strings.Fields(key)
	if len(f) < 2 || len(f[0]) > 64 || len(f[1]) > 16<<10 || strings.ContainsAny(key, "\r\n\x00") {
		return "", false
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if strings.Trim(f[0], letters+"-.@_") != "" || strings.Trim(f[1], letters+"+/=") != "" {
		return "", false
	}
	return f[0] + " " + f[1], true
}

// validHostName tells whether name may be a pattern in known_hosts: a name, an
// address or "[name]:port", without wildcards.
func validHostName(name string) bool {
	const ok = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]%"
	return name != "" && len(name) <= 255 && strings.Trim(name, ok) == "" && name[0] != '-'
}
