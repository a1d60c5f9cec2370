package access

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn/mux"
)

// shares says whether this command may use shared connections.
func (d *Dialer) shares() bool {
	return d.o.Share.Idle > 0 && d.api.CacheFirst(outage.AsAsked)
}

// connectShared borrows a connection to the VM, or makes one.
func (d *Dialer) connectShared(ctx context.Context, vm inventory.VM, how How) (*sshconn.Conn, error) {
	if !d.shares() {
		return d.Connect(ctx, vm, how)
	}
	path := d.shareSocket(vm.ID)
	conn, err := mux.Dial(ctx, path, vm.Title())
	if err == nil {
		d.o.Logf("using the shared connection to %s", vm.Title())
		if said := conn.Info().Banner; said != "" && how.Banner != nil {
			how.Banner(said)
		}
		return conn, nil
	}
	d.o.Logf("making a connection of its own: %v", err)
	var stuck net.Error
	if errors.As(err, &stuck) && stuck.Timeout() || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		_ = os.Remove(path) // a process that does not answer is as good as dead
	}
	return d.Connect(ctx, vm, how)
}

// Borrowed is a connection that is borrowed if possible. When a borrowed one turns
// out not to take another session, before anything of it has reached the VM,
// one of its own takes its place.
type Borrowed struct {
	d    *Dialer
	vm   inventory.VM
	how  How
	keep func() // has a connection kept for later commands, once; nil for a borrowed one

	mu   sync.Mutex
	conn *sshconn.Conn
}

// Borrow takes a connection that is shared already, or makes one and, if that
// pays, has it shared.
func (d *Dialer) Borrow(ctx context.Context, vm inventory.VM, how How) (*Borrowed, error) {
	conn, err := d.connectShared(ctx, vm, how)
	if err != nil {
		return nil, err
	}
	b := &Borrowed{d: d, vm: vm, how: how, conn: conn}
	if d.shares() && d.o.Share.Start != nil && !how.alone && !conn.Shared() {
		b.keep = sync.OnceFunc(func() { d.startSharing(vm, conn.Info()) })
		time.AfterFunc(shareAfter, b.keep)
	}
	return b, nil
}

// Close gives the connection back.
func (b *Borrowed) Close() error {
	err := b.current().Close()
	if b.keep != nil {
		b.keep() // or waits for it: the process may end now
	}
	return err
}

func (b *Borrowed) current() *sshconn.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conn
}

// Exec runs a command as sshconn.Conn does.
func (b *Borrowed) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	return b.With(ctx, func(c *sshconn.Conn) error { return c.Exec(ctx, cmd, stdin, stdout, stderr) })
}

// With does one session's work.
func (b *Borrowed) With(ctx context.Context, work func(*sshconn.Conn) error) error {
	conn := b.current()
	err := work(conn)
	var se *sshconn.Error
	if !conn.Shared() || !errors.As(err, &se) || !se.NotStarted {
		return err
	}
	b.d.o.Logf("the shared connection takes no session (%v); making one of its own", err)
	if conn, err = b.replace(ctx, conn); err != nil {
		return err
	}
	return work(conn)
}

func (b *Borrowed) replace(ctx context.Context, old *sshconn.Conn) (*sshconn.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != old {
		return b.conn, nil
	}
	conn, err := b.d.Connect(ctx, b.vm, b.how)
	if err != nil {
		return nil, err
	}
	_ = old.Close()
	b.conn = conn
	return conn, nil
}
