package sim

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// errDenied is why a login fails; the client only learns that it did.
var errDenied = errors.New("permission denied")

// sshConfig accepts root with the VM's current key and nobody else.
func (vm *VM) sshConfig() (*ssh.ServerConfig, error) {
	signer, err := vm.hostSigner()
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-vers-fleet-sim",
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			mine, err := vm.keyPair()
			if err != nil {
				return nil, err
			}
			if meta.User() != "root" || !bytes.Equal(key.Marshal(), mine.public.Marshal()) {
				return nil, errDenied
			}
			return &ssh.Permissions{}, nil
		},
	}
	config.AddHostKey(signer)
	return config, nil
}

// sshConn is one login at a VM.
type sshConn struct {
	vm   *VM
	conn *ssh.ServerConn
	ctx  context.Context // ends with the connection

	mu       sync.Mutex
	forwards map[string]func() // what remote forwards are to be undone
	channels sync.WaitGroup
}

// serveSSH speaks SSH on a stream until it ends.
func (vm *VM) serveSSH(stream net.Conn) {
	config, err := vm.sshConfig()
	if err != nil {
		return
	}
	_ = stream.SetDeadline(time.Now().Add(loginTimeout))
	conn, channels, requests, err := ssh.NewServerConn(stream, config)
	if err != nil {
		vm.sim.cfg.Logf("sim: ssh %s: no login", vm.id)
		return
	}
	_ = stream.SetDeadline(time.Time{})
	vm.sim.cfg.Logf("sim: ssh %s: login", vm.id)
	vm.logins.Add(1)
	ctx, cancel := context.WithCancel(vm.sim.ctx)
	c := &sshConn{vm: vm, conn: conn, ctx: ctx, forwards: make(map[string]func())}
	c.channels.Go(func() { c.globalRequests(requests) })
	for ch := range channels {
		c.channels.Go(func() { c.open(ch) })
	}
	cancel()
	_ = conn.Close()
	c.undoForwards()
	c.channels.Wait()
}

// open answers a request for a channel.
func (c *sshConn) open(ch ssh.NewChannel) {
	switch ch.ChannelType() {
	case "session":
		channel, requests, err := ch.Accept()
		if err == nil {
			c.session(channel, requests)
		}
	case "direct-tcpip":
		c.directTCP(ch)
	case "direct-streamlocal@openssh.com":
		c.directUnix(ch)
	default:
		_ = ch.Reject(ssh.UnknownChannelType, "unknown channel type")
	}
}

// globalRequests answers keep-alives (with a refusal, as OpenSSH does) and
// serves remote forwarding inside the VM's own network.
func (c *sshConn) globalRequests(requests <-chan *ssh.Request) {
	for req := range requests {
		ok, payload := false, []byte(nil)
		switch req.Type {
		case "tcpip-forward":
			ok, payload = c.forwardTCP(req.Payload)
		case "cancel-tcpip-forward":
			ok = c.cancelTCP(req.Payload)
		case "streamlocal-forward@openssh.com":
			ok = c.forwardUnix(req.Payload)
		case "cancel-streamlocal-forward@openssh.com":
			ok = c.cancelUnix(req.Payload)
		}
		if req.WantReply {
			_ = req.Reply(ok, payload)
		}
	}
}
