package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// bridge is a plain TCP port that leads through TLS to one VM, for tools that
// cannot run a proxy command (rclone before 1.62).
type bridge struct {
	addr     string
	listener net.Listener
	wg       sync.WaitGroup
}

func newBridge(ctx context.Context, gateway string, vm *vm) (*bridge, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &bridge{addr: l.Addr().String(), listener: l}
	config := &tls.Config{RootCAs: vm.CAPool, ServerName: vm.ServerName, MinVersion: tls.VersionTLS13}
	b.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { carry(ctx, c, gateway, config) })
		}
	})
	return b, nil
}

func carry(ctx context.Context, c net.Conn, gateway string, config *tls.Config) {
	defer c.Close()
	d := tls.Dialer{Config: config}
	far, err := d.DialContext(ctx, "tcp", gateway)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = c.Close(), far.Close() })
	defer stop()
	done := make(chan struct{}, 2)
	pass := func(dst io.Writer, src io.Reader) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 256<<10))
		done <- struct{}{}
	}
	go pass(far, c)
	go pass(c, far)
	<-done // an SSH connection is over when either side leaves
}

// close stops listening; connections end with their tools.
func (b *bridge) close() { _ = b.listener.Close() }
