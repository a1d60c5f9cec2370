package sshconn

import (
	"context"
	"io"
)

// Proxy connects stdin and stdout to the target's SSH port, through TLS where
// the endpoint has it, for use as OpenSSH's ProxyCommand. The SSH protocol,
// and with it the check of the host key, is the caller's. It returns when the
// VM closes the connection or ctx ends; EOF on stdin is passed on. Once it is
// connected, ctx's end is no error: OpenSSH ends its ProxyCommand with SIGHUP
// (sshconnect.c, ssh_kill_proxy_command).
func (d *Dialer) Proxy(ctx context.Context, t Target, stdin io.Reader, stdout io.Writer) error {
	try := func(ctx context.Context, c candidate, _ chan struct{}) (*wire, error) {
		w, err := d.connect(ctx, t, c, newStopwatch())
		if err != nil {
			return nil, orCause(ctx, err)
		}
		return w, nil
	}
	w, err := runRace(ctx, d, t.Endpoints, try, func(w *wire) { w.abort() })
	if err != nil {
		return err
	}
	defer w.Close()
	defer context.AfterFunc(ctx, w.abort)()

	in := newInput(stdin)
	defer in.stop()
	go func() {
		_, _ = io.Copy(w, in)
		closeWrite(w.Conn)
	}()
	_, err = io.Copy(stdout, w)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil && w.failure() != nil {
		return newError(StageSession, t.label(), ErrLost)
	}
	return err
}

// closeWrite ends one direction where the connection can.
func closeWrite(c any) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
