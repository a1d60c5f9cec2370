package fleet

import (
	"fmt"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// newcomers collects the VMs met for the first time while many are worked on,
// so that one line tells of all of them.
type newcomers struct {
	mu    sync.Mutex
	count int
	one   string // what is said if there is only one
}

// met tells of a first contact, now or with the others.
func (f *Fleet) met(vm inventory.VM, info sshconn.Info, recorded bool) {
	text := "first contact with " + vm.Title() + ": its host key is " + info.Fingerprint
	if recorded {
		text = "first contact with " + vm.Title() + ": its host key " + info.Fingerprint + " is recorded" + f.API.Unconfirmed(f.mode)
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
		f.o.Warn(fmt.Sprintf("first contact with %d VMs: their host keys are recorded%s; vers-fleet keys list -o wide shows them", n.count, f.API.Unconfirmed(f.mode)))
	}
}
