package sshconn

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
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
	w, failed := d.connect(ctx, t, c, watch)
	if failed != nil {
		return nil, nil, ended(ctx, failed)
	}
	h := &handshake{dialer: d, target: t, pins: p, cand: c, wire: w, watch: watch, keys: keys}
	var client *ssh.Client
	err := h.guarded(ctx, func() error {
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

// ended prefers the end of the dial over the error it led to: the caller's
// reason, or that its time was over, in the stage it had come to.
func ended(ctx context.Context, err *Error) error {
	var late *OverdueError
	switch {
	case ctx.Err() == nil:
		return err
	case errors.As(context.Cause(ctx), &late):
		return &Error{Stage: err.Stage, Address: err.Address, Err: late, Timeout: true}
	}
	return context.Cause(ctx)
}

// handshake is one SSH key exchange and login.
type handshake struct {
	dialer *Dialer
	target Target
	pins   pins
	cand   candidate
	wire   *wire
	watch  *stopwatch
	keys   *keyring // nil: stop after the host key

	seen    hostKeyCapture
	login   atomic.Bool // the host key was accepted
	refused error       // why the login failed, as far as the server said
	shown   int         // bytes of banners
	said    string      // the banners, made harmless
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
		BannerCallback:    h.banner,
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

// maxBanner bounds what a server may have shown before the login.
const maxBanner = 16 << 10

// banner passes on what the server wants shown.
func (h *handshake) banner(text string) error {
	h.shown += len(text)
	if text == "" || h.shown > maxBanner {
		return nil
	}
	text = strings.TrimSuffix(safe.Text(text), "\n") + "\n"
	h.said += text
	if h.dialer.Banner != nil {
		h.dialer.Banner(text)
	}
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
	if none := newAlgorithmError(err); none != nil { // the server hangs up for it, too
		return newError(StageKEX, h.cand.label(), none)
	}
	if network := h.wire.failure(); network != nil {
		err = network
		if isEOF(err) {
			err = ErrHungUp
		}
	}
	e := newError(h.stage(), h.cand.label(), err)
	if h.login.Load() && h.refused != nil && h.wire.failure() == nil {
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
			return ended(ctx, newError(h.stage(), h.cand.label(), err))
		}
	}
	return err
}

// stage is how far the handshake has come.
func (h *handshake) stage() Stage {
	if h.login.Load() {
		return StageLogin
	}
	return StageKEX
}

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

// hostKeyCapture is a host-key callback that keeps the key it was shown.
type hostKeyCapture struct {
	key   ssh.PublicKey
	after func(ssh.PublicKey) error
}

func (h *hostKeyCapture) callback(_ string, _ net.Addr, key ssh.PublicKey) error {
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
