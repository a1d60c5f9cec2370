package sim

import (
	"io"
	"net"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The payloads of forwarding requests (RFC 4254, section 7; OpenSSH PROTOCOL,
// section 2.4).
type (
	directTCP struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	directUnix struct {
		Path     string
		Reserved string
		Port     uint32
	}
	forwardTCP struct {
		Host string
		Port uint32
	}
	forwardedUnix struct{ Path, Reserved string }
	portReply     struct{ Port uint32 }
)

// directTCP connects a channel to a port inside the VM. Other hosts cannot be
// reached from a simulated VM.
func (c *sshConn) directTCP(ch ssh.NewChannel) {
	var p directTCP
	if ssh.Unmarshal(ch.ExtraData(), &p) != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "malformed request")
		return
	}
	ip := net.ParseIP(strings.Trim(p.Host, "[]"))
	if p.Host != "localhost" && (ip == nil || !(ip.IsLoopback() || ip.IsUnspecified())) {
		_ = ch.Reject(ssh.Prohibited, "not available in the simulator: a VM has no network but its own loopback")
		return
	}
	c.direct(ch, "tcp:"+strconv.FormatUint(uint64(p.Port), 10))
}

func (c *sshConn) directUnix(ch ssh.NewChannel) {
	var p directUnix
	if ssh.Unmarshal(ch.ExtraData(), &p) != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "malformed request")
		return
	}
	c.direct(ch, "unix:"+p.Path)
}

func (c *sshConn) direct(ch ssh.NewChannel, key string) {
	peer, err := c.vm.net.dial(key)
	if err != nil {
		_ = ch.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	channel, requests, err := ch.Accept()
	if err != nil {
		_ = peer.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	splice(channel, peer)
}

// splice copies both ways until both sides have ended.
func splice(a, b io.ReadWriteCloser) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(a, b)
		closeWrite(a)
	}()
	_, _ = io.Copy(b, a)
	closeWrite(b)
	<-done
	_ = a.Close()
	_ = b.Close()
}

// closeWrite ends one direction where that is possible, else both.
func closeWrite(c io.ReadWriteCloser) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}

// forwardTCP opens a port inside the VM that leads back to the client.
func (c *sshConn) forwardTCP(payload []byte) (bool, []byte) {
	var p forwardTCP
	if ssh.Unmarshal(payload, &p) != nil {
		return false, nil
	}
	port := p.Port
	key, ok := c.vm.net.add("tcp", strconv.FormatUint(uint64(p.Port), 10), func() (io.ReadWriteCloser, error) {
		return c.back("forwarded-tcpip", ssh.Marshal(directTCP{Host: p.Host, Port: port, OriginHost: "127.0.0.1", OriginPort: 50000}))
	})
	if !ok {
		return false, nil
	}
	c.remember(key)
	if p.Port != 0 {
		return true, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(key, "tcp:"), 10, 32)
	port = uint32(n)
	return err == nil, ssh.Marshal(portReply{Port: port})
}

func (c *sshConn) cancelTCP(payload []byte) bool {
	var p forwardTCP
	return ssh.Unmarshal(payload, &p) == nil && c.undo("tcp:"+strconv.FormatUint(uint64(p.Port), 10))
}

func (c *sshConn) forwardUnix(payload []byte) bool {
	var p textRequest
	if ssh.Unmarshal(payload, &p) != nil {
		return false
	}
	key, ok := c.vm.net.add("unix", p.Text, func() (io.ReadWriteCloser, error) {
		return c.back("forwarded-streamlocal@openssh.com", ssh.Marshal(forwardedUnix{Path: p.Text}))
	})
	if ok {
		c.remember(key)
	}
	return ok
}

func (c *sshConn) cancelUnix(payload []byte) bool {
	var p textRequest
	return ssh.Unmarshal(payload, &p) == nil && c.undo("unix:"+p.Text)
}

// back opens a channel to the client for a connection that came in.
func (c *sshConn) back(kind string, extra []byte) (io.ReadWriteCloser, error) {
	channel, requests, err := c.conn.OpenChannel(kind, extra)
	if err != nil {
		return nil, errRefused
	}
	go ssh.DiscardRequests(requests)
	return channel, nil
}

func (c *sshConn) remember(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forwards[key] = func() { c.vm.net.remove(key) }
}

func (c *sshConn) undo(key string) bool {
	c.mu.Lock()
	undo := c.forwards[key]
	delete(c.forwards, key)
	c.mu.Unlock()
	if undo == nil {
		return false
	}
	undo()
	return true
}

func (c *sshConn) undoForwards() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, undo := range c.forwards {
		undo()
	}
	clear(c.forwards)
}
