package keystore

import (
	"slices"
	"strings"
	"time"
)

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
