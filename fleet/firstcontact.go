package fleet

import (
	"fmt"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/retry"
)

// newcomers collects the VMs met for the first time while many are worked on,
// so that one line tells of all of them.
type newcomers struct {
	mu    sync.Mutex
	count int
	one   string // what is said if there is only one
}

// met tells of a first contact, now or with the others.
func (f *Fleet) met(vm VM, info sshconn.Info, recorded bool) {
	text := "first contact with " + vm.Title() + ": its host key is " + info.Fingerprint
	if recorded {
		text = "first contact with " + vm.Title() + ": its host key " + info.Fingerprint + " is recorded" + f.unconfirmed()
	}
	n := f.newcomers
	if n == nil || !recorded {
		f.o.Warn(text)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	n.one = text
}

// tellNewcomers is called when the work on many VMs is over.
func (f *Fleet) tellNewcomers() {
	switch n := f.newcomers; n.count {
	case 0:
	case 1:
		f.o.Warn(n.one)
	default:
		f.o.Warn(fmt.Sprintf("first contact with %d VMs: their host keys are recorded%s; vers-fleet keys list -o wide shows them", n.count, f.unconfirmed()))
	}
}

// unconfirmed says why a host key's pin is not confirmed; "" if it is.
func (f *Fleet) unconfirmed() string {
	switch s, up := f.apiState(); {
	case !up:
		return ", unconfirmed, as the API is down"
	case !f.lately(s):
		return ", unconfirmed, as the API has not answered lately"
	}
	return ""
}

// vouchFor is how long the API's last answer speaks for a host key that a VM
// shows for the first time.
const vouchFor = 15 * time.Minute

// apiVouches reports that the API is known to be up, and not merely unknown to
// be down because nothing has asked it.
func (f *Fleet) apiVouches() bool {
	s, up := f.apiState()
	return up && f.lately(s)
}

// lately reports whether the last answer still speaks for anything.
func (f *Fleet) lately(s retry.State) bool { return f.o.Now().Sub(s.LastAnswer) < vouchFor }
