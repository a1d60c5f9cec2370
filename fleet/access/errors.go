package access

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// explain turns a failed connection attempt into an *Error that names the real
// cause. Nil stays nil.
func (d *Dialer) explain(ctx context.Context, m outage.Mode, vm inventory.VM, err error) error {
	var hk *sshconn.HostKeyError
	if errors.As(err, &hk) {
		return d.identityError(vm, hk, err)
	}
	return problem.Of(ctx, err, problem.Error{Kind: problem.Unreachable, What: "cannot reach " + vm.Title(), Origin: problem.OriginSSH}, func(e *problem.Error) {
		var se *sshconn.Error
		if e.Kind != problem.Interrupted && errors.As(err, &se) {
			d.explainStage(ctx, m, vm, e, se)
		}
	})
}

// explainStage fills in what the failed stage tells.
func (d *Dialer) explainStage(ctx context.Context, m outage.Mode, vm inventory.VM, e *problem.Error, se *sshconn.Error) {
	tries := d.triesOf(vm, se)
	e.Why, e.Next, e.Retryable = triesText(tries), d.stageAdvice(tries[0]), tries[0].Transient()
	switch {
	case se.Stage == sshconn.StageTLSName:
		e.Kind = problem.Identity
		return
	case se.Stage == sshconn.StageConfig:
		e.Kind, e.Origin = problem.Usage, problem.OriginLocal
		return
	case se.Stage == sshconn.StageSession, errors.As(se.Err, new(*sshconn.AlgorithmError)):
		return // the VM did answer; its state explains nothing
	case se.Stage == sshconn.StageLogin && !se.Transient():
		e.Kind = problem.LoginRefused
	}
	state, when := d.inv.StateOf(ctx, m, vm)
	how := e.Why
	switch state {
	case "paused", "sleeping":
		e.Why = fmt.Sprintf("the VM is %s (%s)", state, when)
		e.Next = "vers-fleet resume " + vm.Arg()
		if when != inventory.StateNow {
			e.Next = "only the API can resume it; when it answers: vers-fleet wait && vers-fleet resume " + vm.Arg()
		}
	case "booting":
		e.Why = fmt.Sprintf("the VM is booting (%s)", when)
		e.Next = "try again in a moment"
	case "dead", "deleted":
		e.Why = fmt.Sprintf("the VM is %s (%s)", state, when)
		e.Retryable, e.Next = false, ForGood(vm)
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

// ForGood is the advice for a VM that does not come back.
func ForGood(vm inventory.VM) string {
	return "it does not come back; what it said last is here: vers-fleet output " + vm.Arg() + " --offline; what was pulled stays; to forget its key: vers-fleet keys remove " + vm.Arg()
}

func (d *Dialer) identityError(vm inventory.VM, hk *sshconn.HostKeyError, err error) *problem.Error {
	e := &problem.Error{Kind: problem.Identity, Origin: problem.OriginSSH, Err: err, What: "refusing to log in to " + vm.Title(), Why: hk.Error()}
	if len(hk.Want) == 0 {
		e.Next = "compare it with one from a trusted source; if it is the same: vers-fleet keys accept-host " + vm.Arg() + " " + hk.Got
		return e
	}
	unconfirmed, imported := d.claimsOnly(vm.ID)
	if imported && unconfirmed {
		e.Why += "; the recorded one came from a bundle and was never confirmed"
	} else if unconfirmed {
		e.Why += "; the recorded one was never confirmed"
	}
	if other := d.ownerOfHostKey(vm.ID, hk.Key); other != "" {
		e.Why += "; it is the host key of " + other
	}
	accept := "vers-fleet keys accept-host " + vm.Arg() + " " + hk.Got
	e.Next = "if the VM was rebuilt, accept the new host key: " + accept
	if unconfirmed {
		e.Next = "compare both with a trusted source; if the one shown now is right: " + accept
	}
	if unconfirmed && imported && d.o.TLSVerify && !d.o.StrictSSH {
		e.Next = "when the API is up again (vers-fleet wait), the right one is recorded by itself; or compare both with a trusted source: " + accept
	}
	return e
}

// ownerOfHostKey names another VM that is known by the host key: a relative
// (branched from the same image), or a mix-up.
func (d *Dialer) ownerOfHostKey(id, key string) string {
	records, _, err := d.store.Records()
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
func (d *Dialer) refusedError(m outage.Mode, vm inventory.VM, err, keyErr error) *problem.Error {
	e := &problem.Error{Kind: problem.LoginRefused, What: vm.Title() + " refuses the recorded key", Origin: problem.OriginSSH, Err: err}
	var cause *problem.Error
	if !errors.As(keyErr, &cause) {
		e.Why = "the API gives no other key, so the VM's authorized_keys was changed"
		e.Next = "repair /root/.ssh/authorized_keys on the VM through the platform, or restore it from a commit"
		return e
	}
	e.Why, e.Next, e.Retryable = "a fresh key could not be fetched: "+cause.Why, cause.Next, cause.Retryable
	if cause.Kind == problem.Unavailable && !d.api.Forbidden(m) {
		e.Next = "vers-fleet wait, then try again"
	}
	return e
}

// noKeyError says why no key is at hand for a VM.
func (d *Dialer) noKeyError(ctx context.Context, vm inventory.VM, err error) error {
	var own *problem.Error
	if !errors.As(err, &own) {
		return d.api.Explain("fetch the key of "+vm.Title(), err)
	}
	e := *own
	e.What = "no key for " + vm.Title() + " is recorded, and none can be fetched"
	if e.Kind == problem.NotFound {
		e.Why = "the API knows no such VM"
	}
	if e.Kind != problem.Unavailable {
		return &e
	}
	if d.keys.Adoptable() > 0 {
		e.Next = "other Vers clients left keys on this machine: vers-fleet keys import --found"
	} else if advice := d.siblingAdvice(ctx, vm); advice != "" {
		e.Next = advice
	}
	return &e
}

// triesOf lists the failed tries of one connection, the most telling first.
// When nothing was heard of the VM at all, that is the try at its usual
// address: the direct one works only from inside the platform's network.
func (d *Dialer) triesOf(vm inventory.VM, se *sshconn.Error) []*sshconn.Error {
	tries := append([]*sshconn.Error{se}, se.Others...)
	if se.Stage != sshconn.StageTCP && se.Stage != sshconn.StageDNS {
		return tries
	}
	for i, t := range tries {
		if strings.HasPrefix(t.Address, d.front.Address(vm.ID)) {
			tries[0], tries[i] = tries[i], tries[0]
			break
		}
	}
	return tries
}

func triesText(tries []*sshconn.Error) string {
	var list []string
	for _, t := range tries {
		list = append(list, stageText(t))
	}
	return strings.Join(list, "; ")
}

// stageText names the stage, the address and the cause of a failure.
func stageText(e *sshconn.Error) string {
	name := map[sshconn.Stage]string{
		sshconn.StageDNS: "DNS lookup of", sshconn.StageTCP: "TCP connection to", sshconn.StageTLS: "TLS handshake with",
		sshconn.StageTLSName: "TLS handshake with", sshconn.StageKEX: "SSH key exchange with", sshconn.StageLogin: "SSH login at",
	}[e.Stage]
	if name == "" || e.Address == "" {
		return e.Error()
	}
	address := e.Address
	if host, _, err := net.SplitHostPort(address); err == nil && e.Stage == sshconn.StageDNS {
		address = host
	}
	if e.Timeout && !errors.As(e.Err, new(*sshconn.OverdueError)) {
		return name + " " + address + ": no answer in time"
	}
	return name + " " + address + ": " + causeText(e.Err)
}

// causeText is the cause without the layers that found it: they are named by
// the stage already.
func causeText(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var errno syscall.Errno
	switch {
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &authority):
		return "its certificate is signed by an unknown authority"
	case errors.As(err, &name):
		return "its certificate is for another name: " + strings.TrimPrefix(name.Error(), "x509: ")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet: " + invalid.Detail
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return sshconn.ErrHungUp.Error()
	}
	return err.Error()
}

// stageAdvice is what to try after a failure at this stage.
func (d *Dialer) stageAdvice(e *sshconn.Error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var algorithm *sshconn.AlgorithmError
	gateway := "vm_domain"
	if d.front.Gateway != "" {
		gateway = "vm_gateway"
	}
	switch {
	case errors.As(e.Err, new(*sshconn.OverdueError)):
		return "try again in a moment; to give it longer: vers-fleet config set ssh.connect_timeout 2m"
	case e.Stage == sshconn.StageDNS && errors.As(e.Err, &dns) && dns.IsNotFound:
		return "check " + gateway + " (vers-fleet config view), or this computer's DNS"
	case e.Stage == sshconn.StageDNS:
		return "check this computer's network and DNS, then try again"
	case e.Stage == sshconn.StageTCP && errors.Is(e.Err, syscall.ECONNREFUSED):
		return "nothing listens there: check " + gateway + " (vers-fleet config view), or try again later"
	case e.Stage == sshconn.StageTCP:
		return "check this computer's network, a firewall in between, and " + gateway + " (vers-fleet config view)"
	case e.Stage == sshconn.StageTLSName:
		return "another host answers there: check vm_gateway and vm_domain (vers-fleet config view)"
	case errors.As(e.Err, &authority):
		return "if the gateway has a certificate of its own, name its authority in tls_ca; else somebody is in between"
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return "check this computer's clock; if it is right, the gateway needs a new certificate"
	case e.Stage == sshconn.StageTLS:
		return "the gateway is there but does not serve; try again, and see which VMs answer: vers-fleet drill"
	case errors.As(e.Err, &algorithm):
		return algorithmAdvice(algorithm)
	case e.Stage == sshconn.StageKEX:
		return "the gateway answers, the VM's SSH server does not; try again in a moment, or restart the VM"
	case errors.Is(e.Err, sshconn.ErrNoPublicKeyLogin), errors.Is(e.Err, sshconn.ErrMoreFactors):
		return "the VM's sshd_config must let root log in with a key alone"
	}
	return ""
}

// algorithmAdvice is what to do about an SSH server that is too old, or set up
// too narrowly, for what counts as safe today.
func algorithmAdvice(e *sshconn.AlgorithmError) string {
	if e.Option == "" || len(e.Ours) == 0 {
		return "update the VM's OpenSSH server"
	}
	return "update the VM's OpenSSH server, or let " + e.Option + " in its sshd_config have " + e.Ours[0] + " too"
}
