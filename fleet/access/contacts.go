package access

import (
	"fmt"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// contacts collects the VMs met for the first time while many are worked on,
// so that one line tells of all of them.
type contacts struct {
	mu    sync.Mutex
	count int
	one   string // what is said if there is only one
}

// shareStartMost is with how many VMs at once a command starts to share: each
// one costs a process.
const shareStartMost = 4

// Batch is how to connect for work on so many VMs at once: first contacts are
// told when done is called, and with more than a few VMs connections are
// borrowed but none is kept.
func (d *Dialer) Batch(vms int) (how How, done func()) {
	how = How{contacts: &contacts{}, alone: vms > shareStartMost}
	return how, func() { d.reportContacts(how.contacts) }
}

// met tells of a first contact, now or with the others.
func (d *Dialer) met(vm inventory.VM, how How, info sshconn.Info, recorded bool) {
	text := "first contact with " + vm.Title() + ": its host key is " + info.Fingerprint
	if recorded {
		text = "first contact with " + vm.Title() + ": its host key " + info.Fingerprint + " is recorded" + d.api.Unconfirmed(how.Mode)
	}
	c := how.contacts
	if c == nil || !recorded {
		d.o.Warn(text)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	c.one = text
}

// reportContacts is called when the work on many VMs is over.
func (d *Dialer) reportContacts(c *contacts) {
	switch c.count {
	case 0:
	case 1:
		d.o.Warn(c.one)
	default:
		d.o.Warn(fmt.Sprintf("first contact with %d VMs: their host keys are recorded%s; vers-fleet keys list -o wide shows them", c.count, d.api.Unconfirmed(outage.AsAsked)))
	}
}
