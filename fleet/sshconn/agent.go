package sshconn

import (
	"errors"

	"golang.org/x/crypto/ssh/agent"
)

// ErrNoAgent: no ssh-agent answers at the socket that was to be forwarded.
var ErrNoAgent = errors.New("no ssh-agent answers at the given socket")

// ErrShared: a connection borrowed from another process cannot do that.
var ErrShared = errors.New("not possible over a shared connection")

// forwardAgent lets the VM reach the ssh-agent at a socket, for as long as the
// connection lives.
func (c *Conn) forwardAgent(socket string) error {
	if c.Shared() {
		return newError(StageForward, socket, ErrShared)
	}
	c.agent.Do(func() {
		if agent.ForwardToRemote(c.client, socket) != nil {
			c.agentErr = newError(StageForward, socket, ErrNoAgent)
		}
	})
	return c.agentErr
}
