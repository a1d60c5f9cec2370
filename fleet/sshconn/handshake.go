package sshconn

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// handshake is one SSH key exchange and login.
type handshake struct {
	dialer *Dialer
	target Target
	pins   pins
	cand   candidate
	wire   *wire
	watch  *stopwatch
	keys   *keyring // nil: stop after the host key

	seen    hostKeySeen
	login   atomic.Bool // the host key was accepted
	refused error       // why the login failed, as far as the server said
}

// errStop ends a handshake that only wanted the host key.
var errStop = errors.New("host key seen")

// greet opens the SSH protocol, so that an address counts as alive only when
// an SSH server stands behind it.
func (h *handshake) greet() error {
	h.deadline(h.dialer.Timeouts.withDefaults().KEX)
	if err := h.wire.greet(); err != nil {
		return h.fail(err)
	}
	return nil
}

// run does the key exchange and the login.
func (h *handshake) run() (*ssh.Client, error) {
	h.deadline(h.dialer.Timeouts.withDefaults().KEX)
	h.seen.after = h.hostKey
	config := &ssh.ClientConfig{
		Config:            algorithms(),
		User:              h.target.User,
		ClientVersion:     clientVersion,
		HostKeyAlgorithms: hostKeyAlgorithms(h.pins.keys),
		HostKeyCallback:   h.seen.callback,
		AuthCallback:      h.authenticate,
	}
	if config.User == "" {
		config.User = "root"
	}
	conn, chans, reqs, err := ssh.NewClientConn(h.wire, h.cand.endpoint.Address, config)
	if err != nil {
		return nil, h.fail(err)
	}
	h.watch.done(StageLogin)
	h.deadline(0)
	return ssh.NewClient(conn, chans, reqs), nil
}

// hostKey runs at the end of the key exchange, before anything about the user
// is sent.
func (h *handshake) hostKey(key ssh.PublicKey) error {
	h.watch.done(StageKEX)
	if h.keys == nil {
		return errStop
	}
	if err := h.pins.check(key); err != nil {
		return err
	}
	h.login.Store(true)
	h.deadline(h.dialer.Timeouts.withDefaults().Login)
	return nil
}

// authenticate picks the next login method. The library calls it after its
// "none" request, and again after each failure. A failure of the network is
// not a refusal.
func (h *handshake) authenticate(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	tried := false
	for _, m := range c.TriedMethods {
		tried = tried || m == "publickey"
	}
	offered := false
	for _, m := range c.AllowedMethods {
		offered = offered || m == "publickey"
	}
	switch {
	case h.wire.failure() != nil:
		h.refused = h.wire.failure()
	case len(c.PartialSuccessMethods) > 0:
		h.refused = ErrMoreFactors
	case tried:
		h.refused = ErrKeyRefused
	case !offered:
		h.refused = ErrNoPublicKeyLogin
	default:
		return ssh.PublicKeys(h.keys.signers...), nil
	}
	return nil, h.refused
}

// fail turns the library's error into one that names the stage. What the
// network said comes before what the library made of it.
func (h *handshake) fail(err error) error {
	var hostKey *HostKeyError
	if errors.As(err, &hostKey) {
		return newError(StageHostKey, h.cand.label(), hostKey)
	}
	if network := h.wire.failure(); network != nil {
		err = network
		if isEOF(err) {
			err = ErrHungUp
		}
	}
	if !h.login.Load() {
		return newError(StageKEX, h.cand.label(), err)
	}
	e := newError(StageLogin, h.cand.label(), err)
	if h.refused != nil && h.wire.failure() == nil {
		e.Err = h.refused
		if len(h.pins.keys) > 0 {
			return finalError{e} // it is the right VM, and it said no
		}
	}
	return e
}

func (h *handshake) deadline(d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = h.wire.SetDeadline(at)
}

// guarded runs f with the connection bound to ctx: a cancelled ctx closes the
// socket, which ends any read or write at once.
func (h *handshake) guarded(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, h.wire.abort)
	err := f()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		h.wire.abort()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return err
}
