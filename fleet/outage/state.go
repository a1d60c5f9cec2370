package outage

import (
	"time"

	"github.com/vers-fleet/vers-fleet/retry"
)

// Up is what the outage memory believes.
func (a *API) Up(m Mode) bool {
	_, up := a.State(m)
	return up
}

// Down reports whether an outage is known: the API is not merely limiting calls,
// and nothing else answers in its place.
func (a *API) Down() bool {
	s, err := a.memory.State()
	return err == nil && s.Condition() == retry.Down
}

// MemoryState is what the outage memory holds; the error is the keystore's.
func (a *API) MemoryState() (retry.State, error) { return a.memory.State() }

// State is the outage memory, and whether it believes that the API is up.
func (a *API) State(m Mode) (retry.State, bool) {
	s, err := a.memory.State()
	return s, a.mode(m) != Offline && err == nil && !s.Down()
}

// Unconfirmed says why a host key's pin is not confirmed; "" if it is.
func (a *API) Unconfirmed(m Mode) string {
	switch s, up := a.State(m); {
	case !up:
		return ", unconfirmed, as the API is down"
	case !a.lately(s):
		return ", unconfirmed, as the API has not answered lately"
	}
	return ""
}

// vouchFor is how long the API's last answer speaks for a host key that a VM
// shows for the first time.
const vouchFor = 15 * time.Minute

// Vouches reports that the API is known to be up, and not merely unknown to
// be down because nothing has asked it.
func (a *API) Vouches(m Mode) bool {
	s, up := a.State(m)
	return up && a.lately(s)
}

// lately reports whether the last answer still speaks for anything.
func (a *API) lately(s retry.State) bool { return a.o.Now().Sub(s.LastAnswer) < vouchFor }

// Warnings are the early signs of an outage: failed calls, rising latency.
func (a *API) Warnings() []retry.Warning {
	s, err := a.memory.State()
	if err != nil {
		return nil
	}
	return s.Warnings(a.o.Now())
}
