package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// faultSet holds the faults that are on.
type faultSet struct {
	mu     sync.Mutex
	faults []*activeFault
}

// activeFault counts the calls its filters matched.
type activeFault struct {
	Fault
	seen, hit int
}

// event is a call or connection that a fault may befall.
type event struct {
	gateway  bool
	endpoint string
	method   string
	vmID     string
	vmName   string
}

func (s *faultSet) set(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(a *activeFault) bool { return a.replacedBy(f) })
	s.faults = append(s.faults, &activeFault{Fault: f})
}

// replacedBy reports whether f says something else about the same calls.
func (a *activeFault) replacedBy(f Fault) bool {
	ours, _ := a.kind()
	theirs, _ := f.kind()
	return ours.ofGateway() == theirs.ofGateway() && ours.adds() == theirs.adds() &&
		a.Endpoint == f.Endpoint && strings.EqualFold(a.Method, f.Method) && a.VM == f.VM
}

func (s *faultSet) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *faultSet) list() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Fault, 0, len(s.faults))
	for _, a := range s.faults {
		f := a.Fault
		if f.Count > 0 {
			f.Count -= a.hit
		}
		out = append(out, f)
	}
	return out
}

// pick returns the latency that e suffers and the newest other fault that
// befalls it, if any, and counts both.
func (s *faultSet) pick(e event) (delay time.Duration, fault Fault, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range slices.Backward(s.faults) {
		k, _ := a.kind()
		if (found && !k.adds()) || k.ofGateway() != e.gateway || !a.matches(e) || !a.strikes() {
			continue
		}
		delay += a.Latency
		if !k.adds() {
			fault, found = a.Fault, true
		}
	}
	s.faults = slices.DeleteFunc(s.faults, func(a *activeFault) bool { return a.Count > 0 && a.hit >= a.Count })
	return delay, fault, found
}

func (a *activeFault) matches(e event) bool {
	return (a.Endpoint == "" || a.Endpoint == e.endpoint) &&
		(a.Method == "" || strings.EqualFold(a.Method, e.method)) &&
		(a.VM == "" || strings.EqualFold(a.VM, e.vmID) || a.VM == e.vmName)
}

// strikes decides whether a matching call is hit, and counts it.
func (a *activeFault) strikes() bool {
	a.seen++
	if a.Every > 0 && a.seen%a.Every != 0 {
		return false
	}
	if a.Probability > 0 && rand.Float64() >= a.Probability {
		return false
	}
	a.hit++
	return true
}
