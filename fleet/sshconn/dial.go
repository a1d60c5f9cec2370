package sshconn

import (
	"context"

	"golang.org/x/crypto/ssh"
)

// Dial connects to the target and logs in. Addresses are tried side by side;
// only one of them at a time goes through the login.
//
// Errors are an *[Error] (errors.As also finds a *[HostKeyError] in it, and
// errors.Is finds [ErrKeyRefused] and the other sentinels), or ctx's error
// when the caller gave up.
func (d *Dialer) Dial(ctx context.Context, t Target) (*Conn, error) {
	keys, err := newKeyring(t.Keys)
	if err != nil {
		return nil, newError(StageConfig, "", err)
	}
	p, err := newPins(t)
	if err != nil {
		return nil, newError(StageConfig, "", err)
	}
	try := func(ctx context.Context, at candidate, turn chan struct{}) (*Conn, error) {
		h, client, err := d.handshake(ctx, t, p, at, keys, turn)
		if err != nil {
			d.logf("connecting to %s: %v", t.label(), err)
			return nil, err
		}
		c := newConn(d, h, client)
		d.logf("connected to %s", c.info)
		return c, nil
	}
	return runRace(ctx, d, t.Endpoints, try, func(c *Conn) { _ = c.Close() })
}

// HostKey returns the host key the target shows, as "ssh-ed25519 AAAA...",
// without logging in. Keys are not needed; pinned host keys only decide which
// type of key the server is asked for, the caller compares.
func (d *Dialer) HostKey(ctx context.Context, t Target) (string, error) {
	p, err := newPins(t)
	if err != nil {
		return "", newError(StageConfig, "", err)
	}
	try := func(ctx context.Context, c candidate, turn chan struct{}) (string, error) {
		h, _, err := d.handshake(ctx, t, p, c, nil, turn)
		if h != nil && h.seen.key != nil {
			return authorizedKey(h.seen.key), nil
		}
		return "", err
	}
	return runRace(ctx, d, t.Endpoints, try, func(string) {})
}

// handshake connects to one address and goes through SSH's handshake there.
func (d *Dialer) handshake(ctx context.Context, t Target, p pins, c candidate, keys *keyring, turn chan struct{}) (*handshake, *ssh.Client, error) {
	watch := newStopwatch()
	w, err := d.connect(ctx, t, c, watch)
	if err != nil {
		return nil, nil, orCause(ctx, err)
	}
	h := &handshake{dialer: d, target: t, pins: p, cand: c, wire: w, watch: watch, keys: keys}
	var client *ssh.Client
	err = h.guarded(ctx, func() error {
		if err := h.greet(); err != nil {
			return err
		}
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var err error
		if client, err = h.run(); err != nil {
			<-turn
		}
		return err
	})
	return h, client, err
}

// orCause prefers the caller's cancellation over the error it led to.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
