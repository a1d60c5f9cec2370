package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// explain turns a failed connection attempt into an *Error that names the real
// cause. Nil stays nil.
func (f *Fleet) explain(ctx context.Context, vm inventory.VM, err error) error {
	var hk *sshconn.HostKeyError
	if errors.As(err, &hk) {
		return f.identityError(vm, hk, err)
	}
	return problem.Of(ctx, err, problem.Error{Kind: problem.Unreachable, What: "cannot reach " + vm.Title(), Origin: problem.OriginSSH}, func(e *problem.Error) {
		var se *sshconn.Error
		if e.Kind != problem.Interrupted && errors.As(err, &se) {
			f.explainStage(ctx, vm, e, se)
		}
	})
}

// explainStage fills in what the failed stage tells.
func (f *Fleet) explainStage(ctx context.Context, vm inventory.VM, e *problem.Error, se *sshconn.Error) {
	tries := f.triesOf(vm, se)
	e.Why, e.Next, e.Retryable = triesText(tries), f.stageAdvice(tries[0]), tries[0].Transient()
	switch {
	case se.Stage == sshconn.StageTLSName:
		e.Kind = problem.Identity
		return
	case se.Stage == sshconn.StageConfig:
		e.Kind, e.Origin = problem.Usage, problem.OriginLocal
		return
	case se.Stage == sshconn.StageSession:
		return // the VM did answer; its state explains nothing
	case se.Stage == sshconn.StageLogin && !se.Transient():
		e.Kind = problem.LoginRefused
	}
	state, when := f.Inventory.StateOf(ctx, f.mode, vm)
	how := e.Why
	switch state {
	case "paused", "sleeping":
		e.Why = fmt.Sprintf("the VM is %s (%s)", state, when)
		e.Next = "vers-fleet resume " + vm.Arg()
	case "booting":
		e.Why = fmt.Sprintf("the VM is booting (%s)", when)
		e.Next = "try again in a moment"
	case "dead", "deleted":
		e.Why = fmt.Sprintf("the VM is %s (%s)", state, when)
		e.Retryable = false
	case "running":
		e.Why += fmt.Sprintf("; the VM is running (%s)", when)
	}
	if when != inventory.StateNow && state != "running" && state != "" {
		e.Why += "; trying now: " + how // what is recorded may be past
	}
	if e.Next == "" {
		e.Next = "vers-fleet drill shows which VMs can be reached; -v shows each step"
	}
}

func (f *Fleet) identityError(vm inventory.VM, hk *sshconn.HostKeyError, err error) *problem.Error {
	e := &problem.Error{Kind: problem.Identity, Origin: problem.OriginSSH, Err: err, What: "refusing to log in to " + vm.Title(), Why: hk.Error()}
	if len(hk.Want) == 0 {
		e.Next = "compare it with one from a trusted source; if it is the same: vers-fleet keys accept-host " + vm.Arg() + " " + hk.Got
		return e
	}
	if other := f.ownerOfHostKey(vm.ID, hk.Key); other != "" {
		e.Why += "; it is the host key of " + other
	}
	e.Next = "if the VM was rebuilt, accept the new host key: vers-fleet keys accept-host " + vm.Arg() + " " + hk.Got
	return e
}

// ownerOfHostKey names another VM that is known by the host key: a relative
// (branched from the same image), or a mix-up.
func (f *Fleet) ownerOfHostKey(id, key string) string {
	records, _, err := f.keys.Records()
	if err != nil {
		return ""
	}
	for _, r := range records {
		for _, k := range r.HostKeys {
			if r.VMID != id && k.Key == key {
				return r.VMID
			}
		}
	}
	return ""
}

// refusedError says that the VM refuses the key, and why no better one could
// be had.
func (f *Fleet) refusedError(vm inventory.VM, err, keyErr error) *problem.Error {
	e := &problem.Error{Kind: problem.LoginRefused, What: vm.Title() + " refuses the recorded key", Origin: problem.OriginSSH, Err: err}
	var cause *problem.Error
	if !errors.As(keyErr, &cause) {
		e.Why = "the API gives no other key, so the VM's authorized_keys was changed"
		e.Next = "repair /root/.ssh/authorized_keys on the VM through the platform, or restore it from a commit"
		return e
	}
	e.Why, e.Next, e.Retryable = "a fresh key could not be fetched: "+cause.Why, cause.Next, cause.Retryable
	if cause.Kind == problem.Unavailable && f.API.Mode(f.mode) != outage.Offline {
		e.Next = "vers-fleet wait, then try again"
	}
	return e
}

// noKeyError says why no key is at hand for a VM.
func (f *Fleet) noKeyError(vm inventory.VM, err error) error {
	var own *problem.Error
	if !errors.As(err, &own) {
		return f.API.Explain("fetch the key of "+vm.Title(), err)
	}
	e := *own
	e.What = "no key for " + vm.Title() + " is recorded, and none can be fetched"
	if e.Kind == problem.NotFound {
		e.Why = "the API knows no such VM"
	}
	if hints := f.Keys.Adoptable(); e.Kind == problem.Unavailable && hints > 0 {
		e.Next = strings.TrimSpace("other Vers clients left keys on this machine: vers-fleet keys import --found")
	}
	return &e
}
