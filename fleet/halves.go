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
	"github.com/vers-fleet/vers-fleet/retry"
)

// Halves says which half of the platform is down: the control plane, which is the
// API, or the front of the VMs. The JSON names are stable.
type Halves struct {
	Health  string    `json:"health"`        // of the host's /health, asked while the API is down: ok, failed or unknown; it never decides
	Front   string    `json:"front"`         // of the VMs' front, by TLS handshakes for two VMs: up, down or unknown
	Login   string    `json:"login"`         // to the first, tried while the API is down: ok, failed or unknown
	VM      string    `json:"vm,omitempty"`  // the first
	Why     string    `json:"why,omitempty"` // its handshake or login failed
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
	up    bool // the API was
}

// halvesOf is what to tell of the halves in a state of the API; nil for nothing.
func (f *Fleet) halvesOf(ctx context.Context, state string) *Halves {
	if state != "up" && state != string(retry.Down) {
		return nil
	}
	if h := f.halves(ctx, state == "up"); h.Text != "" {
		return h
	}
	return nil
}

// halves asks both halves side by side, for at most as long as a probe of the API
// may take. While the API is up, only the front is asked.
func (f *Fleet) halves(ctx context.Context, up bool) *Halves {
	l := &f.lastHalves
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.value != nil && l.up == up && f.o.Now().Sub(l.value.AskedAt) < halvesLast {
		return l.value
	}
	ctx, stop := context.WithTimeout(ctx, f.API.Brief())
	defer stop()
	l.value, l.up = f.askHalves(ctx, up), up
	return l.value
}

func (f *Fleet) askHalves(ctx context.Context, up bool) *Halves {
	h := &Halves{Health: halfUnknown, Front: halfUnknown, Login: halfUnknown, AskedAt: f.o.Now().UTC().Truncate(time.Second)}
	vms := f.likeliest(2) // one of them may be gone without the front
	reached := make([]error, len(vms))
	var questions []func()
	for n := range vms {
		questions = append(questions, func() { reached[n] = f.Access.Reach(ctx, vms[n]) })
	}
	if !up {
		questions = append(questions, func() { h.Health = f.health(ctx) })
	}
	if !up && len(vms) > 0 {
		questions = append(questions, func() {
			if r := f.drillOne(ctx, vms[0]); r.OK {
				h.Login = CheckOK
			} else {
				h.Login, h.Why = CheckFailed, r.Why
			}
		})
	}
	problem.Each(len(questions), len(questions), func(n int) { questions[n]() })
	if len(vms) > 0 {
		h.VM = vms[0].Title()
		if reached[0] != nil && h.Login != CheckOK {
			h.Why = problem.Why(reached[0])
		}
		h.Front = halfDown
		if h.Login == CheckOK || slices.Contains(reached, nil) {
			h.Front = halfUp
		}
	}
	h.Text = h.text(up)
	return h
}

// text says it for people; "" if nothing is wrong.
func (h *Halves) text(up bool) string {
	front := "the VM front does not answer for " + h.VM
	switch {
	case up && h.Front == halfDown:
		return "control plane up, but " + front + ": " + h.Why
	case up && h.Why != "":
		return "control plane up, VM front up, but " + h.VM + " cannot be reached: " + h.Why
	case up:
		return ""
	case h.Front == halfDown:
		return "control plane down, and " + front + " either: " + h.Why
	case h.Login == CheckFailed:
		return "control plane down, VM front up, but " + h.VM + " takes no login: " + h.Why
	case h.Front == halfUp:
		return "control plane down, VM front up: your VMs are reachable"
	}
	return "control plane down; whether VMs can be reached is not known: no running VM with a key is recorded"
}

// health asks the host's /health, which tells of connections and not of the
// control plane. A host that asked to be left alone is.
func (f *Fleet) health(ctx context.Context) string {
	client, err := f.API.Client()
	s, _ := f.API.State(outage.AsAsked)
	if err != nil || f.API.Forbidden(outage.AsAsked) || s.NotBefore.After(f.o.Now()) {
		return halfUnknown
	}
	if client.Health(ctx) != nil {
		return CheckFailed
	}
	return CheckOK
}

// likeliest are the running VMs with a key whose last login is the youngest.
func (f *Fleet) likeliest(most int) []inventory.VM {
	vms, err := f.Inventory.Known()
	if err == nil {
		err = f.Inventory.ReadRecords(vms)
	}
	if err != nil {
		return nil
	}
	vms = slices.DeleteFunc(vms, func(v inventory.VM) bool {
		return !v.GoneAt.IsZero() || !v.Key.Recorded || asleep(v) || v.State == "dead"
	})
	slices.SortFunc(vms, func(a, b inventory.VM) int {
		return cmp.Or(b.ReachedAt.Compare(a.ReachedAt), cmp.Compare(a.ID, b.ID))
	})
	return vms[:min(most, len(vms))]
}
