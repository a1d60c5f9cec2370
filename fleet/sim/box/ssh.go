package box

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginTimeout bounds the time between connection and login, as sshd does.
const loginTimeout = 60 * time.Second

// sshConn is one login at a VM.
type sshConn struct {
	m   *Machine
	ctx context.Context // ends with the connection
}

// Serve speaks SSH on a stream until it ends or ctx does. The configuration
// decides who may log in; loggedIn is called for who did.
func (m *Machine) Serve(ctx context.Context, stream net.Conn, config *ssh.ServerConfig, loggedIn func()) {
	_ = stream.SetDeadline(time.Now().Add(loginTimeout))
	conn, channels, requests, err := ssh.NewServerConn(stream, config)
	if err != nil {
		return
	}
	_ = stream.SetDeadline(time.Time{})
	loggedIn()
	ctx, cancel := context.WithCancel(ctx)
	c := &sshConn{m: m, ctx: ctx}
	var open sync.WaitGroup
	open.Go(func() { ssh.DiscardRequests(requests) }) // a refusal, as OpenSSH answers keep-alives
	for ch := range channels {
		open.Go(func() { c.open(ch) })
	}
	cancel()
	_ = conn.Close()
	open.Wait()
}

// open answers a request for a channel.
func (c *sshConn) open(ch ssh.NewChannel) {
	if ch.ChannelType() != "session" {
		_ = ch.Reject(ssh.Prohibited, "not available in the simulator: forwarding needs VMs of the kind sshd")
		return
	}
	if channel, requests, err := ch.Accept(); err == nil {
		c.session(channel, requests)
	}
}
