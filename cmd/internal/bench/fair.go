package main

import "errors"

// A run that breaks one of these rules has a time, but one that cannot be set
// beside the others.
var (
	// errAround: it met neither the distance nor TLS, unlike everybody else.
	errAround = errors.New("it reached sshd around the gateway, so its time cannot be compared")
	// errWarm: the peers log in anew each time.
	errWarm = errors.New("it used a connection that was open already, so its time cannot be compared")
	// errCold: its peers use a connection that is open already.
	errCold = errors.New("it logged in anew, so its time cannot be compared")
)

// logins counts what all VMs have seen so far.
type logins struct{ all, direct int }

func (r *rig) logins() logins {
	var n logins
	for _, vm := range r.vms {
		all, direct := vm.Logins()
		n.all += all
		n.direct += direct
	}
	return n
}

// fair judges a run by the logins before and after it. Only ours has to show a
// login: among the others are a local copy and a ControlMaster, named as such.
// What reuses a connection must show none.
func (n logins) fair(before logins, ours, reuses bool) error {
	switch {
	case n.direct > before.direct:
		return errAround
	case reuses && n.all > before.all:
		return errCold
	case ours && !reuses && n.all == before.all:
		return errWarm
	}
	return nil
}
