package sshconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// listen opens the forwarding's listeners.
func (f *Forward) listen(ctx context.Context) ([]net.Listener, error) {
	a := f.spec.Listen
	var ls []net.Listener
	var err error
	switch {
	case f.spec.Kind == ForwardRemote:
		var l net.Listener
		l, err = f.listenOnVM(ctx)
		ls = []net.Listener{l}
	case a.Path != "":
		ls, err = listenSocket(a.Path)
	default:
		ls, err = listenTCP(ctx, a)
	}
	if err == nil {
		return ls, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, newError(StageForward, a.String(), err)
}

// listenSocket makes a socket that only this user can connect to.
func listenSocket(path string) ([]net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return []net.Listener{l}, nil
}

// listenTCP listens as OpenSSH does: without a bind address on loopback of
// both families, of which one suffices.
func listenTCP(ctx context.Context, a ForwardAddr) ([]net.Listener, error) {
	var lc net.ListenConfig
	port := strconv.Itoa(a.Port)
	if a.Any || a.Host != "" && a.Host != "localhost" {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(a.Host, port))
		return []net.Listener{l}, err
	}
	var ls []net.Listener
	var first error
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		ls = append(ls, l)
		port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port) // the same one when it was assigned
	}
	if len(ls) == 0 || isInUse(first) {
		for _, l := range ls {
			_ = l.Close()
		}
		return nil, first
	}
	return ls, nil
}

// listenOnVM asks the server to listen.
func (f *Forward) listenOnVM(ctx context.Context) (net.Listener, error) {
	type listening struct {
		l   net.Listener
		err error
	}
	result := make(chan listening, 1)
	go func() {
		var r listening
		if a := f.spec.Listen; a.Path != "" {
			r.l, r.err = f.conn.client.ListenUnix(a.Path)
		} else {
			r.l, r.err = f.conn.client.Listen("tcp", net.JoinHostPort(a.remoteBind(), strconv.Itoa(a.Port)))
		}
		result <- r
	}()
	r, err := await(ctx, f.conn, result)
	switch {
	case err != nil:
		go func() {
			if r := <-result; r.err == nil {
				_ = r.l.Close()
			}
		}()
		return nil, err
	case r.err == nil:
		return r.l, nil
	case !f.conn.alive():
		return nil, ErrLost
	}
	return nil, ErrRefused
}

// remoteBind is the address the server is told (RFC 4254 section 7.1).
func (a ForwardAddr) remoteBind() string {
	switch {
	case a.Any:
		return "" // all interfaces, all families
	case a.Host == "":
		return "localhost"
	}
	return a.Host
}

// dialVMCause says why the VM did not connect.
func (c *Conn) dialVMCause(err error) error {
	var open *ssh.OpenChannelError
	if errors.As(err, &open) {
		return &remoteMessage{open.Reason.String(), clean(open.Message)}
	}
	return ErrLost
}

// remoteMessage is what the server said about a refused connection.
type remoteMessage struct{ reason, message string }

func (r *remoteMessage) Error() string {
	return ErrRefused.Error() + ": " + r.reason + ": " + r.message
}

// Unwrap is [ErrRefused].
func (r *remoteMessage) Unwrap() error { return ErrRefused }

// clean makes a server's words safe to show: one line of bounded length.
func clean(s string) string {
	const most = 200
	return safe.OneLine(s[:min(most, len(s))])
}

// join copies both ways until both directions have ended, passing on each
// side's EOF.
func join(ctx context.Context, a, b net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = a.Close(); _ = b.Close() })()
	done := make(chan struct{}, 2)
	pipe := func(dst, src net.Conn) {
		_, err := io.Copy(dst, src)
		if err != nil { // the other direction has nowhere to go either
			_ = dst.Close()
			_ = src.Close()
		}
		closeWrite(dst)
		done <- struct{}{}
	}
	go pipe(a, b)
	go pipe(b, a)
	<-done
	<-done
	_ = a.Close()
	_ = b.Close()
}

// Stdio connects stdin and stdout with host:port as seen from the VM (-W). It
// returns when the other side closes or ctx ends.
func (c *Conn) Stdio(ctx context.Context, hostport string, stdin io.Reader, stdout io.Writer) error {
	host, port, err := parseHostPort(hostport)
	if err != nil {
		return err
	}
	out, err := c.dialVM(ctx, ForwardAddr{Host: host, Port: port})
	if err != nil {
		return err
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() { _ = out.Close() })()
	in := newInput(stdin)
	defer in.stop()
	go func() {
		_, _ = io.Copy(out, in)
		closeWrite(out)
	}()
	_, err = io.Copy(stdout, out)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case c.wire != nil && c.wire.failure() != nil:
		return c.lost()
	}
	return nil
}
