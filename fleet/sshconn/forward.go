package sshconn

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
)

// Forward is a forwarding at work. It ends with Close or with the connection.
type Forward struct {
	conn      *Conn
	spec      ForwardSpec
	listeners []net.Listener
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup

	mu    sync.Mutex
	open  int           // connections now
	empty chan struct{} // closed when open becomes 0, if somebody waits for that
}

// port is the port it listens on, as assigned if 0 was asked for; 0 for a socket.
func (f *Forward) port() int {
	if a, ok := f.listeners[0].Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// String is the forwarding in OpenSSH's form, with the port that was assigned.
func (f *Forward) String() string {
	s := f.spec.String()
	if f.spec.Listen.Path == "" && f.spec.Listen.Port == 0 {
		s += " on port " + strconv.Itoa(f.port())
	}
	return s
}

// Forward starts a forwarding and returns when it listens. Errors are an
// *[Error] with StageForward and the address: errors.Is finds
// syscall.EADDRINUSE when a local port is taken, [ErrRefused] when the VM does
// not let it listen, [ErrShared] when it would listen on the VM over a connection
// that another process shares.
func (c *Conn) Forward(ctx context.Context, spec ForwardSpec) (*Forward, error) {
	if spec.Kind == ForwardRemote && c.Shared() {
		return nil, newError(StageForward, spec.Listen.String(), ErrShared)
	}
	f := &Forward{conn: c, spec: spec}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	listeners, err := f.listen(ctx)
	if err != nil {
		f.cancel()
		return nil, err
	}
	f.listeners = listeners
	c.mu.Lock()
	c.forwards = append(c.forwards, f)
	c.mu.Unlock()
	for _, l := range listeners {
		f.wg.Go(func() { f.accept(l) })
	}
	go func() { // the connection's end ends the forwarding
		select {
		case <-c.done:
			_ = f.Close()
		case <-f.ctx.Done():
		}
	}()
	return f, nil
}

// openForwards lists the forwardings at work.
func (c *Conn) openForwards() []*Forward {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.forwards)
}

func (c *Conn) closeForwards() {
	for _, f := range c.openForwards() {
		_ = f.Close()
	}
}

func (c *Conn) describeForwards() []string {
	lines := []string{"The following forwardings are open:"}
	for _, f := range c.openForwards() {
		f.mu.Lock()
		lines = append(lines, fmt.Sprintf("  %s  (%d connections)", f, f.open))
		f.mu.Unlock()
	}
	return lines
}

// Close stops listening and ends the connections that were forwarded.
func (f *Forward) Close() error {
	f.cancel()
	c := f.conn
	c.mu.Lock()
	c.forwards = slices.DeleteFunc(c.forwards, func(o *Forward) bool { return o == f })
	c.mu.Unlock()
	for _, l := range f.listeners {
		if f.spec.Kind == ForwardRemote {
			go func() { _ = l.Close() }() // asks the server; it may be gone
		} else {
			_ = l.Close()
		}
	}
	return nil
}

// accept takes connections until the listener is closed.
func (f *Forward) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go f.serve(in)
	}
}

// serve connects one accepted connection with its target.
func (f *Forward) serve(in net.Conn) {
	defer in.Close()
	f.count(1)
	defer f.count(-1)
	defer context.AfterFunc(f.ctx, func() { _ = in.Close() })()
	var out net.Conn
	var err error
	switch f.spec.Kind {
	case ForwardLocal:
		out, err = f.conn.dialVM(f.ctx, f.spec.To)
	case ForwardRemote:
		out, err = f.dialHere()
	case ForwardDynamic:
		out, err = f.socks(in)
	}
	if err != nil {
		if f.ctx.Err() == nil {
			f.conn.tell(verbosityFailures, fmt.Sprintf("forwarding %s: %v", f, err))
		}
		return
	}
	f.conn.tell(verbosityAll, fmt.Sprintf("forwarding %s: a connection is open", f))
	join(f.ctx, in, out)
	f.conn.tell(verbosityAll, fmt.Sprintf("forwarding %s: a connection has ended", f))
}

func (f *Forward) count(n int) {
	f.mu.Lock()
	f.open += n
	if f.open == 0 && f.empty != nil {
		close(f.empty)
		f.empty = nil
	}
	f.mu.Unlock()
}

// idle is nil when no connection is open, else closed as soon as none is.
func (f *Forward) idle() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open > 0 && f.empty == nil {
		f.empty = make(chan struct{})
	}
	return f.empty
}

// dialHere connects to the target of a remote forwarding from this machine.
func (f *Forward) dialHere() (net.Conn, error) {
	var d net.Dialer
	if f.spec.To.Path != "" {
		return d.DialContext(f.ctx, "unix", f.spec.To.Path)
	}
	return d.DialContext(f.ctx, "tcp", net.JoinHostPort(f.spec.To.Host, strconv.Itoa(f.spec.To.Port)))
}

// dialVM connects to an address from the VM.
func (c *Conn) dialVM(ctx context.Context, to ForwardAddr) (net.Conn, error) {
	network, address := "tcp", net.JoinHostPort(to.Host, strconv.Itoa(to.Port))
	if to.Path != "" {
		network, address = "unix", to.Path
	}
	conn, err := c.client.DialContext(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, newError(StageForward, address, c.dialVMCause(err))
}

// verbosity is how much is told about forwarded connections.
type verbosity int

const (
	verbosityNone verbosity = iota - 1
	verbosityFailures
	verbosityAll
)

// OnNote sets who is told, a line at a time, what a person should know of
// forwarded connections, such as that the VM cannot connect to the target.
// While Run is at work it writes that to the session's stderr instead.
func (c *Conn) OnNote(told func(line string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = told
}

// redirectNotes is OnNote until the returned function is called.
func (c *Conn) redirectNotes(told func(line string)) (undo func()) {
	c.mu.Lock()
	before := c.told
	c.mu.Unlock()
	c.OnNote(told)
	return func() { c.OnNote(before) }
}

func (c *Conn) tell(at verbosity, line string) {
	c.mu.Lock()
	told, wanted := c.told, c.verbosity
	c.mu.Unlock()
	if told != nil && at <= wanted {
		told(line)
	}
}

// setVerbosity changes how much is told, and says how much that is.
func (c *Conn) setVerbosity(by verbosity) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verbosity = min(max(c.verbosity+by, verbosityNone), verbosityAll)
	switch c.verbosity {
	case verbosityNone:
		return "[says nothing about forwarded connections]"
	case verbosityAll:
		return "[says what every forwarded connection does]"
	}
	return "[says which forwarded connections fail]"
}

// drain waits for forwarded connections that are still open when a session has
// ended, as OpenSSH does: what they move is not to be cut off by a logout.
func (c *Conn) drain(ctx context.Context) {
	told := false
	for _, f := range c.openForwards() {
		for idle := f.idle(); idle != nil; idle = f.idle() {
			if !told {
				c.tell(verbosityNone, fmt.Sprintf("waiting for forwarded connections to end, Ctrl-C cuts them (%s)", f))
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
