package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/private"
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

// shareCheck is how soon a shared connection ends after its key's removal by a
// program with other settings; with the same ones it ends at once.
const shareCheck = 2 * time.Second

// shareAfter is how long a command that made a connection has it for itself:
// the process that keeps one for later commands logs in too, and would compete
// for the CPU here and there. A shorter command starts it as its last deed.
const shareAfter = 500 * time.Millisecond

// Share keeps a connection to the VM and lends it to other processes of this
// user, until nobody has used it for a while, the VM's key is no longer the
// recorded one, the connection ends, or ctx does. Being superfluous is not an
// error.
func (d *Dialer) Share(ctx context.Context, b Background) error {
	l, err := private.Listen(b.Socket)
	if errors.Is(err, private.ErrBusy) {
		return nil
	}
	if err != nil {
		return &problem.Error{Kind: problem.Storage, What: "cannot share connections", Why: err.Error(), Origin: problem.OriginLocal, Err: err}
	}
	defer l.Close()
	ready := mux.NotYet(l)
	vm := inventory.VM{ID: b.VMID}
	conn, err := d.dialWith(ctx, vm, How{}, b.Keys)
	for _, key := range b.Keys {
		clear(key)
	}
	ready()
	if err != nil {
		return d.explain(ctx, outage.AsAsked, vm, err)
	}
	info := conn.Info()
	err = mux.Serve(ctx, l, conn, mux.Options{Idle: d.o.Share.Idle, CheckEvery: shareCheck, Check: func() bool { return d.stillRecorded(vm.ID, info) }})
	d.o.Logf("no longer sharing the connection to %s: %v", vm.ID, err)
	return nil
}

// stillRecorded reports whether a new login would use the same key and accept
// the same host key.
func (d *Dialer) stillRecorded(id string, info sshconn.Info) bool {
	if !d.store.HasKey(id) {
		return false
	}
	r, err := d.store.Record(id)
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

// Forget tells the process that shares a connection to a VM that the VM's key
// was removed: being asked, it sees that.
func (d *Dialer) Forget(id string) { private.Served(d.shareSocket(id)) }

// startSharing has a background process share a connection. Failing to is
// nobody's error: the next command connects as this one did.
func (d *Dialer) startSharing(vm inventory.VM, info sshconn.Info) {
	path := d.shareSocket(vm.ID)
	if private.Served(path) {
		return
	}
	keys, err := d.store.Candidates(vm.ID)
	if err == nil && info.KeyIndex < len(keys) {
		keys = keys[info.KeyIndex : info.KeyIndex+1]
		err = d.o.Share.Start(Background{VMID: vm.ID, Socket: path, Keys: keys})
	}
	if err != nil {
		d.o.Logf("the connection to %s is not shared: %v", vm.Title(), err)
	}
}

// shareSocket is where the connection to a VM is shared. The name says by what
// settings it was made, so that none made by others is ever used.
func (d *Dialer) shareSocket(id string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{d.store.Dir(), id, d.front.Address(id), d.front.HostName(id),
		strconv.FormatBool(d.o.TLSVerify), strconv.FormatBool(d.o.StrictSSH), d.o.Share.Variant}, "\x00")))
	name := hex.EncodeToString(sum[:10])
	return private.Path(d.o.Share.Runtime, d.store.Dir(), name)
}
