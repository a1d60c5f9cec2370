package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn/mux"
)

// Sharing lets a later command reuse a connection that a background process
// keeps to a VM. What proves that a login works (drill) and what moves much
// data never does.
type Sharing struct {
	Idle    time.Duration          // how long an unused connection is kept; 0 = none is shared
	Runtime string                 // $XDG_RUNTIME_DIR, "" = none
	Variant string                 // whatever else must be equal for a connection to be the right one
	Start   func(Background) error // starts the process that calls Share; nil = only borrow
}

// Background is what the background process is told.
type Background struct {
	VMID   string
	Socket string
	Keys   [][]byte // private keys, unlocked: never as arguments or in the environment
}

// shareStartMost is with how many VMs at once a command starts to share: each
// one costs a process.
const shareStartMost = 4

// shareCheck is how soon a shared connection ends after its key's removal by a
// program with other settings; with the same ones it ends at once.
const shareCheck = 2 * time.Second

// shareAfter is how long a command that made a connection has it for itself:
// the process that keeps one for later commands logs in too, and would compete
// for the CPU here and there. A shorter command starts it as its last deed.
const shareAfter = 500 * time.Millisecond

// shareLogin bounds the background process's login.
const shareLogin = 30 * time.Second

// Share keeps a connection to the VM and lends it to other processes of this
// user, until nobody has used it for a while, the VM's key is no longer the
// recorded one, the connection ends, or ctx does. Being superfluous is not an
// error.
func (f *Fleet) Share(ctx context.Context, b Background) error {
	l, err := mux.Listen(b.Socket)
	if errors.Is(err, mux.ErrBusy) {
		return nil
	}
	if err != nil {
		return &problem.Error{Kind: problem.Storage, What: "cannot share connections", Why: err.Error(), Origin: problem.OriginLocal, Err: err}
	}
	defer l.Close()
	ready := mux.NotYet(l)
	vm := inventory.VM{ID: b.VMID}
	login, stop := context.WithTimeout(ctx, shareLogin)
	conn, err := f.dialWith(login, vm, b.Keys)
	stop()
	for _, key := range b.Keys {
		clear(key)
	}
	ready()
	if err != nil {
		return f.explain(ctx, vm, err)
	}
	info := conn.Info()
	err = mux.Serve(ctx, l, conn, mux.Options{Idle: f.o.Share.Idle, CheckEvery: shareCheck, Check: func() bool { return f.stillRecorded(vm.ID, info) }})
	f.o.Logf("no longer sharing the connection to %s: %v", vm.ID, err)
	return nil
}

// stillRecorded reports whether a new login would use the same key and accept
// the same host key.
func (f *Fleet) stillRecorded(id string, info sshconn.Info) bool {
	if !f.keys.HasKey(id) {
		return false
	}
	r, err := f.keys.Record(id)
	if err != nil || r.PublicKey != info.PublicKey && (r.Previous == nil || r.Previous.PublicKey != info.PublicKey) {
		return false
	}
	for _, k := range r.HostKeys {
		if k.Key == info.HostKey {
			return true
		}
	}
	return len(r.HostKeys) == 0
}

// forMany is the same fleet for work on so many VMs at once: it tells of first
// contacts when done is called, and with more than a few VMs it borrows
// connections but has none kept.
func (f *Fleet) forMany(vms int) (many *Fleet, done func()) {
	other := *f
	other.newcomers = &newcomers{}
	if vms > shareStartMost {
		other.o.Share.Start = nil
	}
	return &other, other.tellNewcomers
}

// shares says whether this command may use shared connections.
func (f *Fleet) shares() bool { return f.o.Share.Idle > 0 && f.API.Mode(f.mode) != outage.Live }

// connectShared borrows a connection to the VM, or makes one.
func (f *Fleet) connectShared(ctx context.Context, vm inventory.VM) (*sshconn.Conn, error) {
	if !f.shares() {
		return f.Connect(ctx, vm)
	}
	path := f.shareSocket(vm.ID)
	conn, err := mux.Dial(ctx, path, vm.Title())
	if err == nil {
		f.o.Logf("using the shared connection to %s", vm.Title())
		return conn, nil
	}
	f.o.Logf("making a connection of its own: %v", err)
	var stuck net.Error
	if errors.As(err, &stuck) && stuck.Timeout() || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		_ = os.Remove(path) // a process that does not answer is as good as dead
	}
	return f.Connect(ctx, vm)
}

// startSharing has a background process share a connection. Failing to is
// nobody's error: the next command connects as this one did.
func (f *Fleet) startSharing(vm inventory.VM, info sshconn.Info) {
	path := f.shareSocket(vm.ID)
	if mux.Served(path) {
		return
	}
	keys, err := f.keys.Candidates(vm.ID)
	if err == nil && info.KeyIndex < len(keys) {
		keys = keys[info.KeyIndex : info.KeyIndex+1]
		err = f.o.Share.Start(Background{VMID: vm.ID, Socket: path, Keys: keys})
	}
	if err != nil {
		f.o.Logf("the connection to %s is not shared: %v", vm.Title(), err)
	}
}

// socketPathMax is what fits into a socket's address on every system: 104
// bytes on macOS, 108 on Linux (unix(7)), with the NUL at the end.
const socketPathMax = 103

// shareSocket is where the connection to a VM is shared. The name says by what
// settings it was made, so that none made by others is ever used.
func (f *Fleet) shareSocket(id string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.keys.Dir(), id, f.front.Address(id), f.front.HostName(id),
		strconv.FormatBool(f.o.TLSVerify), strconv.FormatBool(f.o.StrictSSH), f.o.Share.Variant}, "\x00")))
	name := hex.EncodeToString(sum[:10])
	if f.o.Share.Runtime != "" && own(f.o.Share.Runtime) {
		if path := filepath.Join(f.o.Share.Runtime, "vers-fleet", name); len(path) <= socketPathMax {
			return path
		}
	}
	if path := filepath.Join(f.keys.Dir(), "run", name); len(path) <= socketPathMax {
		return path
	}
	// Whoever else made this folder first: mux uses none that is not private.
	return filepath.Join(os.TempDir(), "vers-fleet-"+strconv.Itoa(os.Getuid()), name)
}

// lent is a connection that is borrowed if possible. When a borrowed one turns
// out not to take another session, before anything of it has reached the VM,
// one of its own takes its place.
type lent struct {
	f    *Fleet
	vm   inventory.VM
	keep func() // has a connection kept for later commands, once; nil for a borrowed one

	mu   sync.Mutex
	conn *sshconn.Conn
}

func (f *Fleet) lend(ctx context.Context, vm inventory.VM) (*lent, error) {
	conn, err := f.connectShared(ctx, vm)
	if err != nil {
		return nil, err
	}
	l := &lent{f: f, vm: vm, conn: conn}
	if f.shares() && f.o.Share.Start != nil && !conn.Shared() {
		l.keep = sync.OnceFunc(func() { f.startSharing(vm, conn.Info()) })
		time.AfterFunc(shareAfter, l.keep)
	}
	return l, nil
}

// Close gives the connection back.
func (l *lent) Close() error {
	err := l.current().Close()
	if l.keep != nil {
		l.keep() // or waits for it: the process may end now
	}
	return err
}

func (l *lent) current() *sshconn.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// Exec runs a command as sshconn.Conn does.
func (l *lent) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	return l.with(ctx, func(c *sshconn.Conn) error { return c.Exec(ctx, cmd, stdin, stdout, stderr) })
}

// with does one session's work.
func (l *lent) with(ctx context.Context, work func(*sshconn.Conn) error) error {
	conn := l.current()
	err := work(conn)
	var se *sshconn.Error
	if !conn.Shared() || !errors.As(err, &se) || !se.NotStarted {
		return err
	}
	l.f.o.Logf("the shared connection takes no session (%v); making one of its own", err)
	if conn, err = l.replace(ctx, conn); err != nil {
		return err
	}
	return work(conn)
}

func (l *lent) replace(ctx context.Context, old *sshconn.Conn) (*sshconn.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != old {
		return l.conn, nil
	}
	conn, err := l.f.Connect(ctx, l.vm)
	if err != nil {
		return nil, err
	}
	_ = old.Close()
	l.conn = conn
	return conn, nil
}
