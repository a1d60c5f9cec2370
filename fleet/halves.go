package fleet

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Halves says which half of the platform is down while the API does not answer:
// the control plane, which is the API, or the front of the VMs too. The JSON
// names are stable.
type Halves struct {
	Health  string    `json:"health"` // of the host's /health: ok, failed or unknown; it never decides
	Front   string    `json:"front"`  // of the VMs' front, by a TLS handshake: up, down or unknown
	Login   string    `json:"login"`  // to one VM: ok, failed or unknown
	VM      string    `json:"vm,omitempty"`
	Why     string    `json:"why,omitempty"` // the handshake or the login failed
	Text    string    `json:"text"`
	AskedAt time.Time `json:"asked_at"`
}

// The values of Halves beyond ok and failed of a Check.
const (
	halfUp      = "up"
	halfDown    = "down"
	halfUnknown = "unknown"
)

// halvesLast is how long what was found serves status --watch: its VM must not
// be logged in to every two seconds.
const halvesLast = 30 * time.Second

// lastHalves is what was found last.
type lastHalves struct {
	mu    sync.Mutex
	value *Halves
}

// halves asks both halves side by side, for at most as long as a probe of the
// API may take.
func (f *Fleet) halves(ctx context.Context) *Halves {
	f.lastHalves.mu.Lock()
	defer f.lastHalves.mu.Unlock()
	if last := f.lastHalves.value; last != nil && f.o.Now().Sub(last.AskedAt) < halvesLast {
		return last
	}
	h := &Halves{Health: halfUnknown, Front: halfUnknown, Login: halfUnknown, AskedAt: f.o.Now().UTC().Truncate(time.Second)}
	ctx, stop := context.WithTimeout(ctx, outage.ProbeTimeout)
	defer stop()
	var reach error
	vm, ok := f.likeliest()
	questions := []func(){func() { h.Health = f.health(ctx) }}
	if ok {
		h.VM = vm.Title()
		questions = append(questions, func() { reach = f.Access.Reach(ctx, vm) }, func() {
			if r := f.drillOne(ctx, vm); r.OK {
				h.Login = CheckOK
			} else {
				h.Login, h.Why = CheckFailed, r.Why
			}
		})
	}
	problem.Each(len(questions), len(questions), func(n int) { questions[n]() })
	switch {
	case !ok:
	case h.Login == CheckOK || reach == nil:
		h.Front = halfUp
	default:
		h.Front, h.Why = halfDown, problem.Why(reach)
	}
	h.Text = h.text()
	f.lastHalves.value = h
	return h
}

func (h *Halves) text() string {
	switch {
	case h.Login == CheckOK:
		return "control plane down, VM front up: your VMs are reachable"
	case h.Front == halfUp:
		return "control plane down, VM front up, but " + h.VM + " takes no login: " + h.Why
	case h.Front == halfDown:
		return "control plane down, and the VM front does not answer for " + h.VM + " either: " + h.Why
	}
	return "control plane down; whether VMs can be reached is not known: no running VM with a key is recorded"
}

// health asks the host's /health, which tells of connections and not of the
// control plane.
func (f *Fleet) health(ctx context.Context) string {
	client, err := f.API.Client()
	if err != nil || f.API.Forbidden(outage.AsAsked) {
		return halfUnknown
	}
	if client.Health(ctx) != nil {
		return CheckFailed
	}
	return CheckOK
}

// likeliest is the running VM with a key whose last login is the youngest.
func (f *Fleet) likeliest() (inventory.VM, bool) {
	vms, err := f.Inventory.Known()
	if err == nil {
		err = f.Inventory.ReadRecords(vms)
	}
	vms = slices.DeleteFunc(vms, func(v inventory.VM) bool {
		return !v.GoneAt.IsZero() || !v.Key.Recorded || asleep(v) || v.State == "dead"
	})
	if err != nil || len(vms) == 0 {
		return inventory.VM{}, false
	}
	return slices.MinFunc(vms, func(a, b inventory.VM) int {
		return cmp.Or(b.ReachedAt.Compare(a.ReachedAt), cmp.Compare(a.ID, b.ID))
	}), true
}
