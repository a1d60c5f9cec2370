//go:build unix

package mux

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/private"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// infoRequest asks the server to describe its connection.
const infoRequest = "info@vers-fleet"

// algorithms are the fastest ones of a process that has just started, which
// computes no tables for P-256: the socket is private, but the library has no
// cipher "none". A server of an earlier version has the second key exchange.
func algorithms() ssh.Config {
	return ssh.Config{
		KeyExchanges: []string{ssh.KeyExchangeECDHP256, ssh.KeyExchangeCurve25519},
		Ciphers:      []string{ssh.CipherAES128GCM},
	}
}

// Dial borrows the connection served at path. name is what messages call the
// VM. Any failure but ctx's end wraps [ErrNoServer] or [private.ErrUnsafe], and comes
// at once: the caller then makes a connection of its own. Closing the result
// leaves the shared connection open.
func Dial(ctx context.Context, path, name string) (*sshconn.Conn, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	c, err := dial(ctx, path, name)
	switch {
	case err == nil:
		return c, nil
	case outer.Err() != nil:
		return nil, context.Cause(outer)
	case errors.Is(err, private.ErrUnsafe):
		return nil, err
	}
	return nil, errors.Join(ErrNoServer, err)
}

func dial(ctx context.Context, path, name string) (*sshconn.Conn, error) {
	if err := private.CheckFolder(path); err != nil {
		return nil, err
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	client, info, err := hello(raw)
	if !stop() || err != nil {
		_ = raw.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	return sshconn.Borrow(client, info, name), nil
}

// hello speaks to the server and learns what it shares.
func hello(raw net.Conn) (*ssh.Client, sshconn.Info, error) {
	var info sshconn.Info
	if err := private.CheckPeer(raw); err != nil {
		return nil, info, err
	}
	_ = raw.SetDeadline(time.Now().Add(helloWait))
	conn, chans, reqs, err := ssh.NewClientConn(&deadlineConn{Conn: raw}, "shared", &ssh.ClientConfig{
		Config:          algorithms(),
		User:            "shared",
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the peer's user is checked instead
	})
	if err != nil {
		return nil, info, err
	}
	client := ssh.NewClient(conn, chans, reqs)
	ok, payload, err := client.SendRequest(infoRequest, true, nil)
	if err != nil || !ok {
		_ = client.Close()
		return nil, info, errors.Join(ErrNoServer, err)
	}
	if err := json.Unmarshal(payload, &info); err != nil {
		_ = client.Close()
		return nil, info, err
	}
	_ = raw.SetDeadline(time.Time{})
	return client, info, nil
}

// deadlineConn is a connection whose other end must say something within helloWait,
// and all the rest within dialWait.
type deadlineConn struct {
	net.Conn
	heard bool
}

// Read gives the other end more time once it has been heard.
func (h *deadlineConn) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 && !h.heard {
		h.heard = true
		_ = h.SetDeadline(time.Now().Add(dialWait))
	}
	return n, err
}
