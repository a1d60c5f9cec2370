package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// LocalLieutenant is a lieutenant that runs on this machine and on no VM, as
// lieutenants.json has it. The JSON names are stable.
type LocalLieutenant struct {
	Name     string    `json:"name"`
	Role     string    `json:"role,omitempty"`
	State    string    `json:"state,omitempty"`    // as the file says
	ActiveAt time.Time `json:"active_at,omitzero"` // its last sign of life
}

// Locals lists the lieutenants on this machine. They are never VMs: no command
// that takes a VM takes one of them.
func (iv *Inventory) Locals() []LocalLieutenant {
	out := []LocalLieutenant{}
	list, _ := iv.lieutenants()
	for _, l := range list {
		if l.Local {
			out = append(out, LocalLieutenant{Name: l.Name, Role: l.Role, State: l.Status, ActiveAt: l.LastActivityAt})
		}
	}
	return out
}

// lieutenants reads lieutenants.json; ok tells whether there is one.
func (iv *Inventory) lieutenants() (list []lieutenant.Lieutenant, ok bool) {
	for _, path := range lieutenant.Files(iv.o.UserHome, iv.o.VersHome, iv.o.AgentDir) {
		data, ok := iv.readForeign(path)
		if !ok {
			continue
		}
		list, err := lieutenant.ParseLieutenants(data)
		if err == nil {
			return list, true // the first file that can be read is the one in use
		}
		iv.setAside(path+" is not used", err)
	}
	return nil, false
}

// readForeign reads a file with names that another program keeps. One that is
// there and cannot be read is set aside; one that is empty is being written.
func (iv *Inventory) readForeign(path string) (data []byte, ok bool) {
	data, err := keystore.ReadFile(path, maxNameFile)
	if err != nil && !keystore.IsNotFound(err) && !errors.Is(err, fs.ErrNotExist) {
		iv.setAside(path+" is not used", err)
	}
	return data, err == nil && len(data) > 0
}

// notVM explains a name that none of the VMs bears and a local lieutenant does.
func (iv *Inventory) notVM(vms []VM, words []string) *problem.Error {
	for _, l := range iv.Locals() {
		for _, word := range words {
			if word != l.Name && word != lieutenant.LocalPrefix+l.Name {
				continue
			}
			if _, err := Choose(vms, Selection{Names: []string{word}}); problem.KindOf(err) == problem.NotFound {
				return &problem.Error{Kind: problem.NotFound, What: fmt.Sprintf("%q is a local lieutenant, not a VM", word), Origin: problem.OriginLocal,
					Why: "it runs on this machine, so its work is here and there is nothing to connect to", Next: "the VMs are listed by: vers-fleet vms"}
			}
		}
	}
	return nil
}
