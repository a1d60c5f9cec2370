package keystore

import (
	"path/filepath"
	"reflect"
	"slices"
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
	if old.rec.Version > RecordVersion {
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
// line), through which endpoint, and the host key behind it. The predecessor
// of a key that has worked is dropped. When nothing is new it only reads, so
// it may be called after every login.
func (s *Store) Proved(id, publicKey string, endpoint Endpoint, hostKey string) error {
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
		case publicKey == r.PreviousPublicKey():
			p := *r.Previous
			p.ProvedAt = now
			r.Previous = &p
		}
		r.worked(endpoint)
		r.pin(hostKey, true, now)
		return nil
	}
	if rec, err := s.Record(id); err != nil {
		return err
	} else if !s.newsIn(rec, publicKey, endpoint, hostKey) {
		return nil
	}
	return s.UpdateRecord(id, note)
}

// newsIn tells whether a login that worked is worth a write.
func (s *Store) newsIn(r Record, publicKey string, e Endpoint, hostKey string) bool {
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
	return hostKey != "" && !slices.ContainsFunc(r.HostKeys, func(h HostKey) bool { return h.Key == hostKey && h.Confirmed })
}

// same tells whether two endpoints are one address with the same IPs.
func (e Endpoint) same(o Endpoint) bool {
	return e.Network == o.Network && e.Address == o.Address && (len(o.IPs) == 0 || slices.Equal(e.IPs, o.IPs))
}

// worked puts e first among the endpoints.
func (r *Record) worked(e Endpoint) {
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
