package remote

import (
	"context"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Lookout asks what one lieutenant does again and again. It keeps its connection
// and what it has read, so that asking one that has written nothing since costs a
// round trip. It is for one goroutine at a time; Close ends it.
type Lookout struct {
	l     *Output
	vm    inventory.VM
	how   access.How
	conn  *access.Borrowed
	seen  *lieutenant.Seen
	noted Activity // what was remembered last
}

// Batch is how to look out for so many lieutenants at once; done is called when
// they were asked for the first time.
func (l *Output) Batch(vms int) (how access.How, done func()) { return l.o.Access.Batch(vms) }

// Lookout begins one. It connects to nothing yet.
func (l *Output) Lookout(vm inventory.VM, how access.How) *Lookout {
	return &Lookout{l: l, vm: vm, how: how}
}

// noteEvery is how old what is remembered of a lieutenant may be whose phase stays.
const noteEvery = time.Minute

// Look asks now. A VM without a lieutenant is no failure. After an error the next
// Look connects anew.
func (k *Lookout) Look(ctx context.Context) (Activity, error) {
	if k.conn == nil {
		conn, err := k.l.o.Access.Borrow(ctx, k.vm, k.how)
		if err != nil {
			return k.unknown(err), err
		}
		k.conn = conn
	}
	a, seen, err := k.l.activityOn(ctx, k.vm, &lieutenant.Stream{Conn: k.conn}, k.l.recall()[k.vm.ID], lieutenant.StatusOptions{Seen: k.seen})
	if err != nil {
		k.Close()
		err = streamError(ctx, k.vm, "ask for the status of", err)
		return k.unknown(err), err
	}
	k.seen = seen
	if a.Phase != k.noted.Phase || a.AsOf.Sub(k.noted.AsOf) >= noteEvery {
		k.l.rememberPhases(ctx, a)
		k.noted = a
	}
	return a, nil
}

func (k *Lookout) unknown(err error) Activity {
	return Activity{VMID: k.vm.ID, Name: k.vm.Name, Phase: PhaseUnknown, Answers: -1, Error: problem.Why(err), Source: outage.FromAPI, AsOf: k.l.o.Now().UTC()}
}

// Close closes the connection.
func (k *Lookout) Close() {
	if k.conn != nil {
		_ = k.conn.Close()
	}
	k.conn, k.seen = nil, nil
}
