package fleet

import (
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
)

// triesOf lists the failed tries of one connection, the most telling first.
// When nothing was heard of the VM at all, that is the try at its usual
// address: the direct one works only from inside the platform's network.
func (f *Fleet) triesOf(vm inventory.VM, se *sshconn.Error) []*sshconn.Error {
	tries := append([]*sshconn.Error{se}, se.Others...)
	if se.Stage != sshconn.StageTCP && se.Stage != sshconn.StageDNS {
		return tries
	}
	for i, t := range tries {
		if strings.HasPrefix(t.Address, f.front.Address(vm.ID)) {
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
	if e.Timeout {
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
func (f *Fleet) stageAdvice(e *sshconn.Error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	gateway := "vm_domain"
	if f.o.VMGateway != "" {
		gateway = "vm_gateway"
	}
	switch {
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
	case e.Stage == sshconn.StageKEX:
		return "the gateway answers, the VM's SSH server does not; try again in a moment, or restart the VM"
	case errors.Is(e.Err, sshconn.ErrNoPublicKeyLogin), errors.Is(e.Err, sshconn.ErrMoreFactors):
		return "the VM's sshd_config must let root log in with a key alone"
	}
	return ""
}
