package sshconn

import (
	"bytes"
	"errors"
	"net"

	"golang.org/x/crypto/ssh"
)

// pins are the host keys a target is allowed to have.
type pins struct {
	keys   []ssh.PublicKey
	strict bool
}

// newPins parses pinned keys. One that cannot be read is an error, for
// skipping it could turn a pinned VM into a first contact.
func newPins(t Target) (pins, error) {
	p := pins{strict: t.Strict}
	for _, line := range t.HostKeys {
		k, err := parsePublic(line)
		if err != nil {
			return pins{}, errors.New("a pinned host key is unreadable")
		}
		p.keys = append(p.keys, k)
	}
	return p, nil
}

// check returns a *HostKeyError unless the key may be trusted.
func (p pins) check(got ssh.PublicKey) error {
	e := &HostKeyError{Got: ssh.FingerprintSHA256(got), Key: authorizedKey(got)}
	for _, k := range p.keys {
		if bytes.Equal(k.Marshal(), got.Marshal()) {
			return nil
		}
		e.Want = append(e.Want, ssh.FingerprintSHA256(k))
	}
	if len(p.keys) == 0 && !p.strict {
		return nil
	}
	return e
}

// hostKeySeen is a host-key callback that keeps the key it was shown.
type hostKeySeen struct {
	key   ssh.PublicKey
	after func(ssh.PublicKey) error
}

func (h *hostKeySeen) callback(_ string, _ net.Addr, key ssh.PublicKey) error {
	if h.key != nil && !bytes.Equal(h.key.Marshal(), key.Marshal()) {
		// A later key exchange shows another key: no honest server does that.
		return &HostKeyError{
			Want: []string{ssh.FingerprintSHA256(h.key)},
			Got:  ssh.FingerprintSHA256(key), Key: authorizedKey(key),
		}
	}
	first := h.key == nil
	h.key = key
	if !first || h.after == nil {
		return nil
	}
	return h.after(key)
}
