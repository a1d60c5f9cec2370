package sshconn

import (
	"context"
	"fmt"
)

// noise is how much is told about forwarded connections.
type noise int

const (
	noiseNone noise = iota - 1
	noiseFailures
	noiseAll
)

// OnNote sets who is told, a line at a time, what a person should know of
// forwarded connections, such as that the VM cannot connect to the target.
// While Run is at work it writes that to the session's stderr instead.
func (c *Conn) OnNote(told func(line string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = told
}

// tellMeanwhile is OnNote until the returned function is called.
func (c *Conn) tellMeanwhile(told func(line string)) (undo func()) {
	c.mu.Lock()
	before := c.told
	c.mu.Unlock()
	c.OnNote(told)
	return func() { c.OnNote(before) }
}

func (c *Conn) tell(at noise, line string) {
	c.mu.Lock()
	told, wanted := c.told, c.noise
	c.mu.Unlock()
	if told != nil && at <= wanted {
		told(line)
	}
}

// setNoise changes how much is told, and says how much that is.
func (c *Conn) setNoise(by noise) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noise = min(max(c.noise+by, noiseNone), noiseAll)
	switch c.noise {
	case noiseNone:
		return "[says nothing about forwarded connections]"
	case noiseAll:
		return "[says what every forwarded connection does]"
	}
	return "[says which forwarded connections fail]"
}

// drain waits for forwarded connections that are still open when a session has
// ended, as OpenSSH does: what they move is not to be cut off by a logout.
func (c *Conn) drain(ctx context.Context) {
	told := false
	for _, f := range c.Forwards() {
		for idle := f.idle(); idle != nil; idle = f.idle() {
			if !told {
				c.tell(noiseNone, fmt.Sprintf("waiting for forwarded connections to end, Ctrl-C cuts them (%s)", f))
				told = true
			}
			select {
			case <-idle:
			case <-c.done:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}
